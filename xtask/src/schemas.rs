//! `cargo xtask schemas`: writes the JSON Schemas in `schemas/`, which are made from the Rust types.

use std::path::Path;

use anyhow::{Result, bail};

/// Writes the schemas under `root/schemas`, or with `check` says which are not current.
pub fn run(root: &Path, check: bool) -> Result<()> {
    let folder = root.join("schemas");
    let schemas = [("curriculum", syllabus::curriculum::schema()), ("report", syllabus::report::model::schema())];
    for (name, schema) in schemas {
        let path = folder.join(format!("{name}.schema.json"));
        if !check {
            fs_err::create_dir_all(&folder)?;
            fs_err::write(&path, serde_json::to_string_pretty(&schema)? + "\n")?;
            println!("schemas: wrote {}", path.display());
        } else if serde_json::from_str::<serde_json::Value>(&fs_err::read_to_string(&path)?)? != schema {
            bail!("{} is not current; run `cargo xtask schemas`", path.display());
        }
    }
    if check {
        println!("schemas: current");
    }
    Ok(())
}
