//! `syllabus verify`.
