//! Reads a compiled dataset as a trainer would: `cargo run --release --example read_dataset -- out/mine`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use syllabus_reader::{BatchOptions, BatchSize, Buffers, Dataset, FillOptions, Result};

/// Reads all that rank 0 of 2 would train on; the number of its trained positions.
pub fn read(folder: &str) -> Result<usize> {
    let dataset = Dataset::open(folder)?;
    println!("{} windows in {} phases", dataset.len(), dataset.phases().len());

    // A window is a slice of a mapped file; its fragments say which documents it is made of.
    let window = dataset.window(0)?;
    println!("the first holds {} tokens of {}", window.tokens.len(), window.source);
    for fragment in window.fragments {
        println!("  {} tokens of {:?}, from token {} on", fragment.length, fragment.document, fragment.offset);
    }

    // Rank 0 of 2, in global batches of 8 windows. A checkpoint keeps `batch.end()`: pass it as `start` to go on from there.
    let options = BatchOptions { size: BatchSize::Constant(8), rank: 0, world: 2, start: 0 };
    let (mut inputs, mut labels, mut trained) = (Vec::new(), Vec::new(), 0);
    for batch in dataset.batches(options)? {
        let positions = batch.len() * batch.set().sequence_length() as usize;
        inputs.resize(positions, 0_i64);
        labels.resize(positions, 0_i64);
        let mut buffers = Buffers { input_ids: Some(&mut inputs[..]), labels: Some(&mut labels), ..Buffers::default() };
        batch.fill(&mut buffers, &FillOptions::default())?;
        // Train on `inputs` and `labels` here.
        trained += positions;
    }
    Ok(trained)
}

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "out/mine".to_owned());
    println!("rank 0 of 2 trains on {} positions", read(&folder)?);
    Ok(())
}
