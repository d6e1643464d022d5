//! Any bytes as a file of rows: no panic; a usable row is ranked, and an error names the file.

use hps_llama::data::Rows;

pub fn run(data: &[u8]) {
    let (_folder, path) = super::file("rows.jsonl", data);
    let rows = match Rows::open(&path) {
        Ok(rows) => rows,
        Err(error) => return named(&error),
    };
    for row in rows {
        match row {
            Ok(Ok(row)) => {
                let rewards = row.rewards();
                assert!(rewards.len() >= 2 && rewards.len() == row.responses().len());
                assert!(rewards[0] > rewards[1], "{rewards:?}");
                assert!(rewards.is_sorted_by(|one, other| one >= other), "{rewards:?}");
                assert!(row.place().contains("rows.jsonl:"));
            }
            Ok(Err(_)) => {}
            Err(error) => named(&error),
        }
    }
}

fn named(error: &hps_llama::Error) {
    assert!(error.to_string().contains("rows.jsonl"), "{error}");
}
