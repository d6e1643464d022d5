//! What the program prints: everything goes through here, so that no text of a file or a server steers the terminal.
//!
//! A terminal that goes away (`| head`) does not end a run: what cannot be shown is not shown.

use anstyle::{AnsiColor, Style};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use hps_llama::train::options::nearest_option;
use hps_llama::{visible, visible_lines};
use std::fmt::Arguments;
use std::io::Write;
use std::path::Path;

/// The word `error`.
const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Prints a line on standard output, as `println!`; see [`terminal`](crate::terminal).
macro_rules! say {
    ($($text:tt)*) => { $crate::terminal::out(format_args!($($text)*)) };
}

/// Prints a line on standard error, as `eprintln!`; see [`terminal`](crate::terminal).
macro_rules! note {
    ($($text:tt)*) => { $crate::terminal::err(format_args!($($text)*)) };
}

pub(crate) use {note, say};

/// A line, or several, on standard output.
pub fn out(text: Arguments<'_>) {
    let _ = writeln!(anstream::stdout(), "{}", visible_lines(&text.to_string()));
}

/// A line, or several, on standard error.
pub fn err(text: Arguments<'_>) {
    let _ = writeln!(anstream::stderr(), "{}", visible_lines(&text.to_string()));
}

/// A line on standard output, indented and in a style.
pub fn styled(style: Style, text: &str) {
    let _ = writeln!(anstream::stdout(), "    {style}{}{style:#}", visible_lines(text));
}

/// A path in one line, as part of what is printed.
pub fn path_text(path: &Path) -> String {
    visible(&path.display().to_string()).into_owned()
}

/// What was said of the arguments, with nothing in it that is not seen; the exit code that goes with it.
pub fn usage(error: clap::Error, parsed: impl FnOnce(Vec<String>) -> Result<(), clap::Error>) -> u8 {
    // Said again of what can be seen of the arguments, which are texts within its lines.
    let arguments = std::env::args_os().map(|argument| visible(&argument.to_string_lossy()).into_owned()).collect();
    let mut said = parsed(arguments).err().filter(|said| said.kind() == error.kind()).unwrap_or(error);
    // clap goes by the letters alone: `--lr` is no `--lora_r`.
    if std::env::args().nth(1).as_deref() == Some("train")
        && said.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(flag)) = said.get(ContextKind::InvalidArg)
        && let Some(known) = nearest_option(flag.trim_start_matches('-'))
    {
        // Its usage line would show the flag that clap means.
        said.remove(ContextKind::Usage);
        said.remove(ContextKind::TrailingArg);
        said.insert(ContextKind::SuggestedArg, ContextValue::String(format!("--{known}")));
    }
    let _ = said.print();
    said.exit_code() as u8
}

/// What ended the program.
pub fn error(error: &hps_llama::Error) {
    let _ = writeln!(anstream::stderr(), "{ERROR}error:{ERROR:#} {error}");
}
