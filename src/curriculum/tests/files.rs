//! What the disk does to a curriculum.

use std::path::{Path, PathBuf};

use super::super::load;
use super::{BASE, base};

/// A folder with a curriculum and the files it names.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new(text: &str) -> Self {
        let disk = Self { folder: tempfile::tempdir().expect("a folder") };
        for file in ["tokenizer.json", "web/a.jsonl", "github/a.jsonl", "sql/a.jsonl", "books/a.jsonl"] {
            disk.write(file);
        }
        fs_err::write(disk.path("c.yaml"), text).expect("written");
        disk
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str) {
        let path = self.path(file);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs_err::write(path, file).expect("written");
    }

    /// The files of the first source, or the errors, `line:column message (hint)`, with the folder written as `DIR`.
    fn resolve(&self) -> Result<Vec<String>, Vec<String>> {
        let loaded = load(&self.path("c.yaml"), false).expect("valid");
        let folder = self.folder.path().display().to_string();
        match loaded.resolve(None) {
            Ok(resolved) => {
                let names = resolved.files[0].iter().map(|file| {
                    assert_eq!(file.bytes, fs_err::metadata(&file.path).expect("there").len());
                    file.path.strip_prefix(self.folder.path()).expect("under the folder").display().to_string()
                });
                Ok(names.collect())
            }
            Err(crate::Error::Curriculum { rendered, .. }) => {
                let rendered = rendered.replace(&folder, "DIR");
                let told = rendered.split("\n\n").map(|one| {
                    let mut lines = one.lines();
                    let message = lines.next().unwrap_or("").trim_start_matches("error: ").to_owned();
                    let place = lines.next().unwrap_or("").split("c.yaml:").nth(1).unwrap_or("").to_owned();
                    let hint = lines.find_map(|line| line.split_once("= help: ")).map_or("", |(_, hint)| hint);
                    format!("{place} {message} ({hint})")
                });
                Err(told.collect())
            }
            Err(other) => panic!("{other}"),
        }
    }
}

fn names(list: &[&str]) -> Result<Vec<String>, Vec<String>> {
    Ok(list.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn patterns_find_files_once_in_order() {
    let disk = Disk::new(&base("web/*", "[web/b.*, 'web/*.jsonl', './web/../web/a.jsonl', 'web/**/*']"));
    for file in ["web/b.jsonl", "web/b.parquet", "web/deep/er/c.jsonl", "web/.hidden", "web/deep/.git/x", "web/B.jsonl"]
    {
        disk.write(file);
    }
    let expected = ["web/B.jsonl", "web/a.jsonl", "web/b.jsonl", "web/b.parquet", "web/deep/er/c.jsonl"];
    // `web/../web/a.jsonl` is another name of a file; the first of its names by path stays.
    let found = disk.resolve().expect("found");
    let found: Vec<&str> = found.iter().map(|name| name.strip_prefix("web/../").unwrap_or(name)).collect();
    assert_eq!(found, {
        let mut sorted = expected.to_vec();
        sorted.sort_by_key(|name| if *name == "web/a.jsonl" { "web/../web/a.jsonl" } else { name });
        sorted
    });
}

#[test]
fn wildcards() {
    for (pattern, expected) in [
        ("web/?.jsonl", &["web/a.jsonl", "web/b.jsonl"][..]),
        ("'web/[!a].jsonl'", &["web/b.jsonl"]),
        ("'**/b.jsonl'", &["web/b.jsonl"]),
        ("web/**", &["web/a.jsonl", "web/b.jsonl", "web/x/c.jsonl"]),
        ("'*/x/*.jsonl'", &["web/x/c.jsonl"]),
        ("'w[e]b/a.jsonl'", &["web/a.jsonl"]),
        ("web/.h*", &["web/.hidden"]),
    ] {
        let disk = Disk::new(&base("web/*", pattern));
        for file in ["web/b.jsonl", "web/x/c.jsonl", "web/.hidden"] {
            disk.write(file);
        }
        assert_eq!(disk.resolve(), names(expected), "{pattern}");
    }
}

#[test]
fn what_is_not_there() {
    for (old, new, expected) in [
        (
            "web/*",
            "wbe/*.jsonl",
            "6:16 source `web`: `wbe/*.jsonl` matches no file (DIR has no `wbe`: did you mean `web`?)",
        ),
        (
            "web/*",
            "web/*.parquet",
            "6:16 source `web`: `web/*.parquet` matches no file (nothing in DIR/web matches; relative paths start at the curriculum's folder, DIR; `--data` names another)",
        ),
        (
            "web/*",
            "[web/*, none.txt]",
            "6:24 source `web`: `none.txt` matches no file (DIR has no `none.txt`; relative paths start at the curriculum's folder, DIR; `--data` names another)",
        ),
        (
            "web/*",
            "\"web/{a,b}.jsonl\"",
            "6:16 source `web`: `web/{a,b}.jsonl` matches no file (DIR/web has no `{a,b}.jsonl`; relative paths start at the curriculum's folder, DIR; `--data` names another)",
        ),
        (
            "web/*",
            "\"web/*.{jsonl,parquet}\"",
            "6:16 source `web`: `web/*.{jsonl,parquet}` matches no file (braces are no wildcards: write the patterns as a list)",
        ),
        (
            "web/*",
            "web",
            "6:16 source `web`: DIR/web: is a folder, not a file (to read the files in it, write `web/*`)",
        ),
        (
            "file: tokenizer.json",
            "file: web",
            "3:19 tokenizer: DIR/web: is a folder, not a file (relative paths start at the curriculum's folder, DIR; `--data` names another)",
        ),
        (
            "file: tokenizer.json",
            "file: none.json",
            "3:19 tokenizer: DIR/none.json: no such file (relative paths start at the curriculum's folder, DIR; `--data` names another)",
        ),
        (
            "name: base",
            "name: base\ndecontaminate: {files: eval/*}",
            "3:24 decontaminate: `eval/*` matches no file (DIR has no `eval`; relative paths start at the curriculum's folder, DIR; `--data` names another)",
        ),
        (
            "sql/*",
            "github/*",
            "8:16 `github` and `sql` read the same: a file, the first DIR/github/a.jsonl (give each its own files, tell their rows apart with `where`, or declare one with `copies_of`)",
        ),
    ] {
        assert_eq!(Disk::new(&base(old, new)).resolve(), Err(vec![expected.to_owned()]), "{new}");
    }
}

#[test]
fn all_that_is_missing_is_told() {
    let disk = Disk::new(BASE);
    for folder in ["web", "sql"] {
        fs_err::remove_dir_all(disk.path(folder)).expect("removed");
    }
    fs_err::remove_file(disk.path("tokenizer.json")).expect("removed");
    assert_eq!(disk.resolve().expect_err("missing").len(), 3);
}

#[test]
fn files_may_be_shared_where_that_has_a_sense() {
    for (old, new) in [
        ("sql/*, group: code}", "github/*, group: code, where: \"lang = 'sql'\"}"),
        ("sql/*, group: code}", "github/*, group: code, text: answer}"),
        ("sql/*, group: code}", "github/*, group: code, copies_of: github}"),
    ] {
        assert_eq!(Disk::new(&base(old, new)).resolve(), names(&["web/a.jsonl"]), "{new}");
    }
}

#[test]
fn data_names_another_folder() {
    let disk = Disk::new(BASE);
    let data = tempfile::tempdir().expect("a folder");
    let loaded = load(&disk.path("c.yaml"), false).expect("valid");
    let Err(crate::Error::Curriculum { rendered, .. }) = loaded.resolve(Some(data.path())) else { panic!("an error") };
    assert!(rendered.contains("relative paths start at --data, "), "{rendered}");
    let Err(error) = loaded.resolve(Some(Path::new("/no/such/folder"))) else { panic!("an error") };
    assert_eq!((error.to_string().as_str(), error.exit_code()), ("--data /no/such/folder: there is no such folder", 2));
    // The same folder by another way, and absolute paths whatever `--data` says.
    assert_eq!(loaded.resolve(Some(disk.folder.path())).expect("found").files.len(), 4);
    let text = BASE.replace("files: ", &format!("files: {}/", disk.folder.path().display()));
    let text = text.replace("tokenizer.json", &disk.path("tokenizer.json").display().to_string());
    fs_err::write(data.path().join("c.yaml"), text).expect("written");
    let resolved = load(&data.path().join("c.yaml"), false).expect("valid").resolve(Some(data.path())).expect("found");
    assert_eq!(resolved.tokenizer, disk.path("tokenizer.json"));
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use fs_err::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_and_circles_are_not() {
        let disk = Disk::new(&base("web/*", "web/**/*.jsonl"));
        disk.write("elsewhere/far.jsonl");
        symlink("../elsewhere", disk.path("web/link")).expect("linked");
        symlink("../web", disk.path("elsewhere/back")).expect("linked");
        symlink("a.jsonl", disk.path("web/same.jsonl")).expect("linked");
        symlink(".", disk.path("web/self")).expect("linked");
        // Each file once, by the first of its names, and no walk without end.
        let found = disk.resolve().expect("found");
        assert!(
            found.contains(&"web/a.jsonl".to_owned()) && found.contains(&"web/link/far.jsonl".to_owned()),
            "{found:?}"
        );
        assert!(!found.contains(&"web/same.jsonl".to_owned()), "{found:?}");
    }

    #[test]
    fn what_cannot_be_read() {
        let disk = Disk::new(BASE);
        symlink("nowhere", disk.path("web/broken")).expect("linked");
        symlink("circle", disk.path("web/circle")).expect("linked");
        fs_err::create_dir(disk.path("web/z.parquet")).expect("made");
        let status = std::process::Command::new("mkfifo").arg(disk.path("web/pipe")).status().expect("mkfifo");
        assert!(status.success());
        let told = disk.resolve().expect_err("errors");
        let expected = [
            "DIR/web/broken: is a link to a file that is not there",
            "DIR/web/circle: is a link that cannot be followed",
            "DIR/web/pipe: is a pipe, socket or device, not a file",
            "DIR/web/z.parquet: is a folder, not a file",
        ];
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(&format!("6:16 source `web`: {expected}")), "{told}");
        }
    }

    #[test]
    fn files_without_permission() {
        use std::os::unix::fs::PermissionsExt;
        let disk = Disk::new(BASE);
        let path = disk.path("web/a.jsonl");
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("set");
        // Root reads everything: then there is nothing to refuse.
        let readable = fs_err::File::open(&path).is_ok();
        match disk.resolve() {
            Ok(_) => assert!(readable),
            Err(told) => {
                assert!(!readable);
                assert!(told[0].contains("web/a.jsonl: permission denied"), "{told:?}");
            }
        }
    }

    #[test]
    fn names_that_are_not_utf8_are_found() {
        let disk = Disk::new(BASE);
        let odd = disk.path("web").join(OsStr::from_bytes(b"\xff.jsonl"));
        fs_err::write(&odd, "x").expect("written");
        let resolved = load(&disk.path("c.yaml"), false).expect("valid").resolve(None).expect("found");
        assert_eq!(resolved.files[0].len(), 2);
        assert!(resolved.files[0].iter().any(|file| file.path == odd));
    }

    #[test]
    fn brackets_in_the_folders_above_are_no_wildcards() {
        let disk = Disk::new(BASE);
        let odd = disk.path("[x] *");
        fs_err::create_dir(&odd).expect("made");
        for name in ["web", "github", "sql", "books", "tokenizer.json", "c.yaml"] {
            fs_err::rename(disk.path(name), odd.join(name)).expect("moved");
        }
        let resolved = load(&odd.join("c.yaml"), false).expect("valid").resolve(None).expect("found");
        assert_eq!(resolved.files[0][0].path, odd.join("web/a.jsonl"));
    }
}
