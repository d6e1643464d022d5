//! The flags of `hps train`: one for each option of the library's table.

use crate::quantisation::load_in_8bit;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use hps_llama::train::options::{OptionInfo, TrainOptions, aliases};

/// Flags that are taken too, as the other commands take them.
const SHORT: [(&str, &str); 3] =
    [("model_name_or_path", "model"), ("adapter_name_or_path", "adapter"), ("output_dir", "output")];

/// What was given, `(name, texts)`, as [`TrainOptions::read`] takes it.
#[derive(Debug, Clone, Default)]
pub struct Flags(pub Vec<(String, Vec<String>)>);

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.args(TrainOptions::table().iter().map(flag)).arg(load_in_8bit())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Flags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let given = TrainOptions::table().into_iter().filter_map(|option| {
            let texts: Vec<String> = matches.get_many::<String>(option.name)?.cloned().collect();
            Some((option.name.to_string(), texts))
        });
        self.0 = given.collect();
        Ok(())
    }
}

fn flag(option: &OptionInfo) -> Arg {
    let help = match &option.default {
        Some(default) => format!("{} [default: {}]", option.help, default.trim_matches('"')),
        None => option.help.to_string(),
    };
    let arg = Arg::new(option.name).long(option.name).help(help).help_heading(option.group);
    let names = [option.name].into_iter().chain(aliases(option.name));
    let dashed = names.map(|name| name.replace('_', "-")).filter(|dashed| dashed != option.name);
    let short = SHORT.iter().filter(|(name, _)| *name == option.name).map(|(_, short)| (*short).to_string());
    let arg = arg.aliases(dashed.chain(aliases(option.name).map(String::from)).chain(short));
    // `--gamma -5`; `--gamma=-inf` needs its sign of equality.
    let arg = arg.value_name("VALUE").allow_negative_numbers(true);
    match option {
        OptionInfo { switch: true, .. } => arg.num_args(0..=1).default_missing_value("true"),
        OptionInfo { list: true, .. } => arg.num_args(1..).action(ArgAction::Append),
        _ => arg,
    }
}
