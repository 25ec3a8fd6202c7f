//! Promise 6 with the binary as it is: killed at moments that nobody chose, asked to stop, short of room, run twice at once, run
//! again on something that changed.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::faults::{ARGUMENTS, place};
use crate::harness::{self, Place, assert_same_dataset};

fn all() -> bool {
    std::env::var("SYLLABUS_FAULTS").is_ok_and(|asked| asked == "all")
}

/// Numbers that look random, the same ones each time.
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1 << 24) as f64
    }
}

/// The command of [`ARGUMENTS`] on all cores, saying its stages.
fn command(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syllabus"));
    let arguments = ARGUMENTS.map(|argument| match argument {
        "none" => "json",
        "1" => "2",
        other => other,
    });
    command.args(arguments).current_dir(place.path(".")).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The stage that the last of these lines is about.
fn last_stage(stderr: &str) -> String {
    let stages = stderr.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let stage = stages.filter_map(|line| Some(line["stage"].as_str()?.to_owned())).next_back();
    stage.unwrap_or_else(|| "start".to_owned())
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

/// Ends a compile over and over, at a random moment of what a whole one takes, `wanted` times before its end; each run goes on
/// from what the one before left. Whenever one comes to its end, the bytes are compared and all begins anew. Says in which
/// stages it ended.
fn ends_in_a_row(whole: &Path, takes: Duration, wanted: usize, seed: u64, end: fn(&mut Child)) -> Vec<String> {
    let (mut place, mut random, mut started, mut stages) = (place(), Random(seed), 0, Vec::new());
    while stages.len() < wanted {
        started += 1;
        assert!(started <= 30 * wanted, "{} of {started} came in time", stages.len());
        let mut child = command(&place).spawn().unwrap();
        std::thread::sleep(takes.mul_f64(random.share()) + Duration::from_millis(1));
        end(&mut child);
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = child.wait().unwrap();
        assert!(!stderr.contains("panicked"), "{stderr}");
        if status.success() {
            assert_same_dataset(whole, &place.path("out"));
            place = self::place();
        } else {
            assert!(
                status.code().is_none() || stderr.lines().last().unwrap_or("").contains("stopped; the same"),
                "{stderr}"
            );
            stages.push(last_stage(&stderr));
        }
    }
    place.run(&ARGUMENTS).expect(0);
    assert_same_dataset(whole, &place.path("out"));
    stages
}

/// How many of each, in words.
fn counted(stages: &[String]) -> String {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    stages.iter().for_each(|stage| *counts.entry(stage).or_default() += 1);
    counts.iter().map(|(stage, count)| format!("{count} in {stage}")).collect::<Vec<_>>().join(", ")
}

/// SIGKILL and SIGINT at moments that nobody chose, on two compiles at once, which together want more cores than there are.
#[test]
fn ended_in_a_row() {
    let whole = place();
    let started = Instant::now();
    whole.run(&ARGUMENTS).expect(0);
    let takes = started.elapsed();
    let whole = whole.path("out");
    let (kills, stops) = if all() { (100, 25) } else { (4, 2) };
    let kill = |child: &mut Child| child.kill().unwrap();
    let (killed, stopped) = std::thread::scope(|scope| {
        let chains: Vec<_> = [1, 2]
            .map(|seed| {
                let whole = &whole;
                scope.spawn(move || {
                    let killed = ends_in_a_row(whole, takes, kills, seed, kill);
                    (killed, ends_in_a_row(whole, takes, stops, seed + 2, |child| interrupt(child)))
                })
            })
            .into_iter()
            .collect();
        let (killed, stopped): (Vec<_>, Vec<_>) = chains.into_iter().map(|chain| chain.join().unwrap()).unzip();
        (killed.concat(), stopped.concat())
    });
    println!("{} killed: {}; {} stopped: {}", killed.len(), counted(&killed), stopped.len(), counted(&stopped));
    let kills = harness::row(
        "SIGKILL",
        &format!("at random moments, in rows of {kills}, two compiles at once ({})", counted(&killed)),
        "whichever run came to an end had the same bytes",
        killed.len(),
        0,
    );
    let stops = harness::row(
        "SIGINT",
        &format!("the same, asked to stop ({})", counted(&stopped)),
        "each said that the same command goes on, and it did, to the same bytes",
        stopped.len(),
        0,
    );
    harness::record("restarts", "restarts-ended", &[kills, stops]);
}

/// A file operation takes a minute, as on a disk that hangs. Whatever stage that is in, a Ctrl-C ends the command before it is
/// over, and the same command goes on. How long it takes goes to the results: a busy machine may be slow.
#[test]
fn ctrl_c_ends_a_stage_that_hangs() {
    let whole = place();
    let log = whole.path("trace.log");
    let traced = command(&whole).env("SYLLABUS_FAULT", "trace@0").env("SYLLABUS_FAULT_LOG", &log).output().unwrap();
    assert!(traced.status.success());
    let operations = fs_err::read_to_string(log).unwrap().lines().count();
    let whole = whole.path("out");
    let tries = if all() { 120 } else { 8 };
    let (mut stages, mut longest) = (Vec::new(), Duration::ZERO);
    for at in (1..=operations).step_by(operations.div_ceil(tries)) {
        let place = place();
        let log = place.path("fault.log");
        let mut child = command(&place)
            .env("SYLLABUS_FAULT", format!("stall@{at}"))
            .env("SYLLABUS_FAULT_LOG", &log)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        while !log.exists() {
            assert!(child.try_wait().unwrap().is_none(), "operation {at} of {operations} never came");
            std::thread::sleep(Duration::from_millis(2));
        }
        interrupt(&child);
        let asked = Instant::now();
        let mut stderr = String::new();
        said.read_to_string(&mut stderr).unwrap();
        let status = child.wait().unwrap();
        longest = longest.max(asked.elapsed());
        assert_eq!(status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.lines().last(), Some("error: stopped; the same command goes on from here"), "{stderr}");
        stages.push(last_stage(&stderr));
        place.run(&ARGUMENTS).expect(0);
        assert_same_dataset(&whole, &place.path("out"));
    }
    println!("stopped in {} ms at most: {}", longest.as_millis(), counted(&stages));
    let row = harness::row(
        "Ctrl-C",
        &format!("while a file operation hangs for a minute ({})", counted(&stages)),
        &format!("ended within {} ms, and the same command went on to the same bytes", longest.as_millis()),
        stages.len(),
        0,
    );
    harness::record("restarts", "restarts-hanging", &[row]);
}

/// The same for `dedup`, which ends with nothing but its work folder.
#[test]
fn ctrl_c_ends_dedup() {
    let arguments = ["dedup", "curriculum.yaml", "--work", "work", "--progress", "none"];
    let whole = place();
    let found = whole.run(&arguments).expect(0).stdout;
    for at in [20, 60, 100] {
        // Of its own: one that goes on from what was stopped may be done before so many operations.
        let place = place();
        let log = place.path("fault.log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_syllabus"))
            .args(arguments)
            .current_dir(place.path("."))
            .env("SYLLABUS_FAULT", format!("stall@{at}"))
            .env("SYLLABUS_FAULT_LOG", &log)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while !log.exists() {
            assert!(child.try_wait().unwrap().is_none(), "operation {at} never came");
            std::thread::sleep(Duration::from_millis(2));
        }
        interrupt(&child);
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{stderr}");
        assert_eq!(stderr.lines().last(), Some("error: stopped; the same command goes on from here"), "{stderr}");
        assert_eq!(place.run(&arguments).expect(0).stdout, found);
    }
}

#[test]
fn a_second_process_is_refused() {
    let place = place();
    let log = place.path("fault.log");
    // The first one holds its work folder at an operation well within ingest.
    let mut first = command(&place)
        .env("SYLLABUS_FAULT", "stall@40")
        .env("SYLLABUS_FAULT_LOG", &log)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !log.exists() {
        assert!(first.try_wait().unwrap().is_none(), "it never came to operation 40");
        std::thread::sleep(Duration::from_millis(2));
    }
    let holder = format!("in use by process {}", first.id());
    place.run(&ARGUMENTS).expect(1).says(&holder);
    place.compile("elsewhere", &["--work", "out/.work"]).expect(1).says(&holder);
    place.run(&["dedup", "curriculum.yaml", "--work", "out/.work"]).expect(1).says(&holder);
    place.run(&["clean", "out"]).expect(1).says(&holder);
    assert!(first.try_wait().unwrap().is_none(), "the holder is still at it");
    first.kill().unwrap();
    first.wait().unwrap();
    // A holder that died holds nothing.
    place.run(&ARGUMENTS).expect(0);
    let row = harness::row(
        "second process",
        "compile, compile elsewhere, dedup, clean on a work folder in use",
        "refused with the holder's process id; once it was dead, accepted",
        4,
        0,
    );
    harness::record("restarts", "restarts-second", &[row]);
}

/// Kills a compile within its last stages, so that there is much to go on from.
fn interrupted(place: &Place) {
    let mut child = command(place).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"dedup\"") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it came to no dedup");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_changed_is_noticed_and_said() {
    type Change = fn(&Place);
    fn edited(place: &Place, from: &str, to: &str) {
        let text = fs_err::read_to_string(place.path("curriculum.yaml")).unwrap();
        assert!(text.contains(from));
        place.write("curriculum.yaml", text.replace(from, to));
    }
    let changes: [(&str, Change, &[&str]); 7] = [
        ("nothing", |_| {}, &["reused for books, dialog, sql"]),
        (
            "rows of a source",
            |place| {
                let text = fs_err::read_to_string(place.path("some.jsonl")).unwrap();
                place.write("some.jsonl", text + "{\"text\": \"one more, of some words\"}\n");
            },
            &["reused for books, sql", "not reused for source `dialog`: files changed"],
        ),
        (
            "a source's rule",
            |place| edited(place, "some.jsonl}", "some.jsonl, text: \"- {text}\"}"),
            &["reused for books, sql", "not reused for source `dialog`: `text` changed"],
        ),
        (
            "a source that is gone",
            |place| {
                edited(place, "  dialog: {files: some.jsonl}\n", "");
                edited(place, "sql: 1, dialog: 2", "sql: 1");
                edited(place, "sql: 2, dialog: 1", "sql: 2");
            },
            &["reused for books, sql", "source `dialog`: no longer in the curriculum"],
        ),
        (
            "the benchmarks",
            |place| {
                place.write(
                    "eval.jsonl",
                    "{\"text\": \"quite another question, asked of nobody in so many words here\"}\n",
                );
            },
            &["not reused for all segments: `decontaminate` changed"],
        ),
        (
            "the tokenizer",
            |place| {
                edited(
                    place,
                    "byte-level/tokenizer.json, eos: \"<|endoftext|>\"",
                    "llama-like/tokenizer.json, bos: none, eos: \"</s>\"",
                )
            },
            &["not reused for all segments:", "the tokenizer changed"],
        ),
        (
            "the mix and the seed",
            |place| edited(place, "name: faults", "name: faults\nseed: 7"),
            &["reused for books, dialog, sql"],
        ),
    ];
    for (what, change, said) in changes {
        let place = place();
        interrupted(&place);
        change(&place);
        let mut arguments = ARGUMENTS.to_vec();
        arguments[5] = "plain";
        let mut run = place.run(&arguments).expect(0);
        for words in said {
            run = run.says(words);
        }
        // And what comes out is what a compile that never saw the old ones makes.
        fs_err::rename(place.path("out"), place.path("went-on")).unwrap();
        place.run(&ARGUMENTS).expect(0);
        assert_same_dataset(&place.path("out"), &place.path("went-on"));
        println!("{what}: noticed");
    }
    let row = harness::row(
        "changed between runs",
        "rows, a rule, a source gone, benchmarks, tokenizer, seed; and nothing",
        "said what is reused, what is not and why; the bytes of a fresh compile",
        changes.len(),
        0,
    );
    harness::record("restarts", "restarts-changed", &[row]);
}

/// Shards that were whole when a compile was killed stay; what was altered since is written again.
#[test]
fn whole_shards_are_not_written_again() {
    let whole = place();
    whole.run(&ARGUMENTS).expect(0);
    let whole = whole.path("out");
    for altered in [None, Some("early/00000.bin"), Some("early/00000.idx"), Some("early/00000.arrow")] {
        let place = place();
        let log = place.path("fault.log");
        // The last operations are those of ledger, report and manifest: the phases are whole by then.
        let mut arguments = ARGUMENTS.to_vec();
        arguments[5] = "plain";
        let faulty = |fault: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_syllabus"));
            command.args(&arguments).current_dir(place.path("."));
            command.env("SYLLABUS_FAULT", fault).env("SYLLABUS_FAULT_LOG", &log).output().unwrap()
        };
        assert!(faulty("trace@0").status.success());
        let told = fs_err::read_to_string(&log).unwrap();
        let at = told.lines().position(|line| line.contains(" create ") && line.contains("ledger.parquet")).unwrap();
        fs_err::remove_dir_all(place.path("out")).unwrap();
        fs_err::remove_file(&log).unwrap();
        let killed = faulty(&format!("kill@{}", at + 1));
        assert!(killed.status.code().is_none());
        let modified = |name: &str| fs_err::metadata(place.path("out").join(name)).unwrap().modified().unwrap();
        let before = (modified("early/00000.bin"), modified("late/00000.bin"));
        if let Some(name) = altered {
            let mut bytes = fs_err::read(place.path("out").join(name)).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs_err::write(place.path("out").join(name), bytes).unwrap();
        }
        let kept = if altered.is_none() { 2 } else { 1 };
        place.run(&arguments).expect(0).says(&format!("{kept} shards that an earlier run wrote were whole and stayed"));
        assert_eq!(modified("late/00000.bin"), before.1);
        assert_eq!(modified("early/00000.bin") == before.0, altered.is_none(), "{altered:?}");
        assert!(!place.path("out/.work/shards").exists());
        assert_same_dataset(&whole, &place.path("out"));
    }
}

fn bytes_below(folder: &Path) -> u64 {
    harness::files(folder).iter().map(|file| fs_err::metadata(folder.join(file)).unwrap().len()).sum()
}

#[test]
fn scratch_is_a_ceiling() {
    let whole = place();
    whole.run(&ARGUMENTS).expect(0);
    let needed = bytes_below(&whole.path("out/.work"));
    let place = place();
    let mut refused = 0;
    for (most, bytes) in [("10KiB", 10 << 10), ("100KiB", 100 << 10), ("300KiB", 300 << 10)] {
        assert!(bytes < needed, "{needed} bytes are all it takes");
        let mut arguments = ARGUMENTS.to_vec();
        arguments.extend(["--scratch", most]);
        let outcome = place.run(&arguments).expect(1).says(&format!("--scratch {}", most.replace("KiB", " KiB")));
        assert!(outcome.last_line().contains("run the same command again"), "{}", outcome.stderr);
        let used = bytes_below(&place.path("out/.work"));
        assert!(used <= bytes + 16, "{used} of {bytes} bytes; 16 are the lock's");
        refused += 1;
    }
    let mut arguments = ARGUMENTS.to_vec();
    arguments.extend(["--scratch", "1GiB"]);
    place.run(&arguments).expect(0);
    assert_same_dataset(&whole.path("out"), &place.path("out"));
    let row = harness::row(
        "--scratch",
        "a ceiling below what the compile needs",
        "refused, with the work folder below it; without it the same bytes",
        refused,
        0,
    );
    harness::record("restarts", "restarts-scratch", &[row]);
}

/// A file system of a certain size, while it lives.
struct Disk<'a>(&'a Path);

impl Disk<'_> {
    fn mount(path: &Path, kib: u64, again: bool) -> bool {
        let size = format!("{}size={kib}k", if again { "remount," } else { "" });
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(path)
            .output()
            .is_ok_and(|o| o.status.success())
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _left = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_says_what_is_missing_and_more_room_goes_on() {
    let whole = place();
    whole.run(&ARGUMENTS).expect(0);
    let needed = bytes_below(&whole.path("out")) / 1024;
    let place = place();
    let folder = place.path("out");
    fs_err::create_dir(&folder).unwrap();
    let steps: Vec<u64> = (1..12).map(|step| (needed * step / 12).max(16)).collect();
    if !Disk::mount(&folder, steps[0], false) {
        println!("NOT RUN: a full disk: a tmpfs can be mounted by root alone, where mounting is allowed");
        harness::record_not_run("restarts", "restarts-full-disk", "a full disk: a tmpfs cannot be mounted here");
        return;
    }
    let disk = Disk(&folder);
    let mut full = 0;
    for (number, kib) in steps.iter().enumerate() {
        assert!(number == 0 || Disk::mount(&folder, *kib, true), "remounting");
        let outcome = place.run(&ARGUMENTS);
        if outcome.code == 0 {
            break;
        }
        let outcome = outcome.expect(1).says("No space left on device");
        for words in ["the disk is full", "takes up to", "free", "run the same command again"] {
            assert!(outcome.last_line().contains(words), "{kib} KiB: `{words}` is not in {}", outcome.stderr);
        }
        assert!(!folder.join("manifest.json").exists());
        full += 1;
    }
    assert!(full >= 4, "full {full} times");
    assert!(Disk::mount(&folder, needed * 4 + 1024, true));
    place.run(&ARGUMENTS).expect(0);
    assert_same_dataset(&whole.path("out"), &folder);
    drop(disk);
    let row = harness::row(
        "full disk",
        "a tmpfs too small, ever a little larger",
        "one error that says what is missing; with room enough the same bytes",
        full,
        0,
    );
    harness::record("restarts", "restarts-full-disk", &[row]);
}
