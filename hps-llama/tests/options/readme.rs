//! The README's table of options is the program's.

use hps_llama::train::options::TrainOptions;

const README: &str = include_str!("../../../README.md");

/// The table as it has to stand in the README.
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
fn the_readme_lists_every_option() {
    let expected = expected();
    assert!(README.contains(&expected), "the README lacks this table:\n{expected}");
}
