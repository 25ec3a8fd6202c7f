//! `cargo xtask test`: installs what testing needs, then runs every test.
//!
//! All of it uses the `dev` profile, which optimises the dependencies, so that they are built once.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How the wheel of the tests is built: in their profile, so that nothing is built again for it.
const TESTED: [&str; 2] = ["--profile", "dev"];

/// Cargo, as it started this program.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Where build output goes.
pub fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |path| root.join(path))
}

/// Runs a command, whose failure is an error.
pub fn succeed(command: &mut Command) -> Result<()> {
    let line = format!("{command:?}").replace('"', "");
    eprintln!("xtask: {line}");
    let status = command.status().with_context(|| format!("cannot start {line}"))?;
    if !status.success() {
        bail!("{line}: {status}");
    }
    Ok(())
}

/// Whether a command can be started and ends well.
pub fn starts(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A virtual environment of Python with what `tests/python/requirements.txt` asks for; its interpreter.
pub fn python(root: &Path) -> Result<PathBuf> {
    let folder = target(root).join("xtask").join("python");
    let interpreter = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let requirements = root.join("tests/python/requirements.txt");
    let wanted = fs_err::read_to_string(&requirements)?;
    let stamp = folder.join("installed.txt");
    if fs_err::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(interpreter);
    }
    let system = ["python3", "python"]
        .into_iter()
        .find(|name| starts(Command::new(name).arg("--version")))
        .context("testing needs Python 3 on the PATH")?;
    succeed(Command::new(system).args(["-m", "venv", "--clear"]).arg(&folder))
        .context("cannot make a virtual environment; on Debian and Ubuntu, install python3-venv")?;
    succeed(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements))?;
    fs_err::write(stamp, wanted)?;
    Ok(interpreter)
}

/// A browser, and the Node packages that drive it, installed where that may be done; else why there is none.
fn browser(root: &Path) -> Result<std::result::Result<(PathBuf, PathBuf), String>> {
    let find = || {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        names.into_iter().find(|name| starts(Command::new(name).arg("--version")))
    };
    if !starts(Command::new("node").arg("--version")) || !starts(Command::new("npm").arg("--version")) {
        return Ok(Err("there is no Node (with npm) on the PATH".to_owned()));
    }
    // A package manager that may install: root on Debian or Ubuntu.
    let user = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0");
    if find().is_none() && user && starts(Command::new("apt-get").arg("--version")) {
        let apt = |arguments: &[&str]| succeed(Command::new("apt-get").args(arguments));
        if let Err(error) = apt(&["update", "--quiet"]).and_then(|()| apt(&["install", "--yes", "--quiet", "chromium"]))
        {
            return Ok(Err(format!("Chromium could not be installed: {error}")));
        }
    }
    let Some(chromium) = find() else { return Ok(Err("there is no Chromium on the PATH".to_owned())) };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let chromium = std::env::split_paths(&path).map(|folder| folder.join(chromium)).find(|file| file.is_file());
    let Some(chromium) = chromium else { return Ok(Err("Chromium starts, but is not on the PATH".to_owned())) };
    let folder = target(root).join("xtask").join("browser");
    let wanted = fs_err::read_to_string(root.join("tests/browser/package.json"))?;
    let stamp = folder.join("installed.json");
    if !fs_err::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        fs_err::create_dir_all(&folder)?;
        fs_err::write(folder.join("package.json"), &wanted)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--quiet"]).current_dir(&folder);
        if let Err(error) = succeed(&mut npm) {
            return Ok(Err(format!("the packages of tests/browser/package.json could not be installed: {error}")));
        }
        fs_err::write(stamp, wanted)?;
    }
    Ok(Ok((chromium, folder.join("node_modules"))))
}

/// Builds the wheel of the Python package in the profile of the tests, installs it beside the test tools, and runs its tests.
fn package(root: &Path, python: &Path) -> Result<()> {
    let wheel = wheel(root, python, &TESTED)?;
    let install = ["-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps"];
    succeed(Command::new(python).args(install).arg(wheel))?;
    let pytest =
        ["-m", "pytest", "--quiet", "-p", "no:cacheprovider", "--ignore", "python/tests/torch", "python/tests"];
    succeed(Command::new(python).args(pytest).current_dir(root))
}

/// `cargo xtask torch`: the package under PyTorch's loaders and trainers, in the environment of `cargo xtask compat`.
pub fn torch(root: &Path) -> Result<()> {
    let tools = python(root)?;
    let wheel = wheel(root, &tools, &TESTED)?;
    let python = crate::compat::python(root)?;
    let requirements = root.join("python/tests/torch/requirements.txt");
    let install = |arguments: &[&std::ffi::OsStr]| {
        let uv = ["-m", "uv", "pip", "install", "--quiet", "--python"];
        succeed(Command::new(&python).args(uv).arg(&python).args(arguments))
    };
    install(&["--requirement".as_ref(), requirements.as_os_str()])?;
    install(&["--force-reinstall".as_ref(), "--no-deps".as_ref(), wheel.as_os_str()])?;
    let pytest = ["-m", "pytest", "--quiet", "-p", "no:cacheprovider", "python/tests/torch"];
    succeed(Command::new(&python).args(pytest).current_dir(root))
}

/// Builds the wheel of the Python package, as `how` says.
pub fn wheel(root: &Path, python: &Path, how: &[&str]) -> Result<PathBuf> {
    let wheels = target(root).join("xtask").join("wheels");
    if wheels.exists() {
        fs_err::remove_dir_all(&wheels)?;
    }
    let mut build = Command::new(python);
    build.args(["-m", "maturin", "build", "--quiet"]).args(how).arg("--out").arg(&wheels);
    succeed(build.arg("--interpreter").arg(python).current_dir(root.join("python")))?;
    Ok(fs_err::read_dir(&wheels)?.next().context("maturin built no wheel")??.path())
}

/// Runs all tests; `filter` goes to the test runner.
pub fn run(root: &Path, filter: &[String]) -> Result<()> {
    let python = python(root)?;
    let nextest = starts(Command::new(cargo()).args(["nextest", "--version"]).current_dir(root));
    let test = |arguments: &[&str]| {
        let mut command = Command::new(cargo());
        command.args(arguments).current_dir(root).env("SYLLABUS_PYTHON", &python);
        command
    };
    if filter.is_empty() {
        succeed(&mut test(&["test", "--quiet", "--workspace", "--doc"]))?;
        // Ignored in plain `cargo test`, since they need the environment made above.
        succeed(&mut test(&["test", "--quiet", "--workspace", "--test", "cli", "--", "--ignored", "python::"]))?;
    }
    if filter.is_empty() {
        package(root, &python)?;
    }
    let browser = browser(root)?;
    if let Err(why) = &browser {
        eprintln!("xtask: NOT RUN: the tests of report.html in a browser: {why}");
    }
    let test = |arguments: &[&str]| {
        let mut command = test(arguments);
        if let Ok((chromium, modules)) = &browser {
            command.env("SYLLABUS_CHROMIUM", chromium).env("SYLLABUS_NODE_MODULES", modules);
        }
        command
    };
    let mut all =
        test(if nextest { &["nextest", "run", "--workspace"] } else { &["test", "--workspace", "--all-targets"] });
    succeed(all.args(filter))
}
