//! The guide's table of options is the program's.

use hps_llama::train::options::TrainOptions;

const GUIDE: &str = include_str!("../../../docs/guide/train.md");

/// The table as it has to stand in the guide.
fn expected() -> String {
    let mut text = String::from("| option | default | meaning |\n|---|---|---|\n");
    let mut last = "";
    for option in TrainOptions::table() {
        if option.group != last {
            text += &format!("| **{}** | | |\n", option.group);
            last = option.group;
        }
        let default = option.default.map(|default| format!("`{}`", default.replace('"', ""))).unwrap_or_default();
        text += &format!("| `{}` | {default} | {} |\n", option.name, option.help.trim_end_matches('.'));
    }
    text
}

#[test]
fn the_guide_lists_every_option() {
    let expected = expected();
    assert!(GUIDE.contains(&expected), "docs/guide/train.md lacks this table:\n{expected}");
}
