//! Losses as names in a file: `cargo test -p hps-core --features serde`.

use hps_core::Loss;

#[test]
fn a_loss_is_written_as_its_name_and_read_back() {
    for name in ["dpo-bt", "dpo-pl", "dpo-hps", "dpo-hps-full"] {
        let loss: Loss = name.parse().unwrap();
        let text = serde_json::to_string(&loss).unwrap();
        assert_eq!(text, format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<Loss>(&text).unwrap(), loss);
    }
}

#[test]
fn what_a_name_cannot_say_is_refused() {
    let loss = "dpo-hps".parse::<Loss>().unwrap().with_beta(0.25).unwrap();
    let error = serde_json::to_string(&loss).unwrap_err().to_string();
    assert!(error.contains("does not say all"), "{error}");
    let error = serde_json::from_str::<Loss>("\"dpo-nothing\"").unwrap_err().to_string();
    assert!(error.contains("known are"), "{error}");
    assert!(serde_json::from_str::<Loss>("3").unwrap_err().to_string().contains("the name of a loss"));
}
