//! `syllabus inspect`.
