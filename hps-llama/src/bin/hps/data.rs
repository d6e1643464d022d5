//! `hps data`: what files of rows hold, and the list form of them.

use crate::chat::{ChatFlags, skipped_template};
use crate::progress;
use crate::terminal::{path_text, say};
use clap::Args;
use hps_llama::chat::Chat;
use hps_llama::data::{Contents, Dropped, Message, Prefer, Prompt, ReadOptions, Response, Row, Rows, Shape};
use hps_llama::files::Output;
use hps_llama::hub;
use hps_llama::resumable::{PROGRAM, Resumable};
use hps_llama::train::Example;
use hps_llama::{Error, ErrorKind, Result, visible};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Characters of a sample's texts that are shown.
const SHOWN: usize = 200;
/// Responses of a sample that are shown, the best ones.
const RESPONSES: usize = 4;

/// What `hps data` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Files of rows: JSON lines or a JSON list, plain or compressed (gzip, zstd); with `--download`, file names in the data set.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Data set of the Hugging Face hub to download the files from: `owner/name`.
    #[arg(long, value_name = "DATASET")]
    download: Option<String>,
    /// Write the usable rows to this file, as lists: `prompt`, `responses`, `rewards`.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing output.
    #[arg(long, requires = "output")]
    overwrite: bool,
    /// Shape of the rows [default: that of the first row].
    #[arg(long, value_name = "SHAPE")]
    shape: Option<Shape>,
    /// Column name of a field: `chosen=winner`; may be repeated.
    #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',', value_parser = column)]
    columns: Vec<(String, String)>,
    /// Order of PKU-SafeRLHF that counts: `better` or `safer`.
    #[arg(long, value_name = "ORDER")]
    prefer: Option<Prefer>,
    /// Accept rows for supervised fine-tuning: `messages`, or `prompt` and `completion`.
    #[arg(long)]
    sft: bool,
    /// Model folder, to count lengths in tokens with its chat template and tokenizer.
    #[arg(long = "model_name_or_path", aliases = ["model-name-or-path", "model"], value_name = "DIR")]
    model_name_or_path: Option<PathBuf>,
    /// Number of rows to show.
    #[arg(long, value_name = "N", default_value_t = 3)]
    samples: usize,
    #[command(flatten)]
    chat: ChatFlags,
}

fn column(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, column)) if !field.is_empty() && !column.is_empty() => Ok((field.into(), column.into())),
        _ => Err(format!("`{text}` is not of the form FIELD=COLUMN")),
    }
}

/// Reads the files row by row; where rows are written, all of them before, to know whether they are gone on with.
pub fn run(arguments: &Arguments) -> Result<()> {
    let download = |name: &PathBuf| match &arguments.download {
        Some(dataset) => hub::download(dataset, &name.display().to_string()),
        None => Ok(name.clone()),
    };
    let files = arguments.files.iter().map(download).collect::<Result<Vec<PathBuf>>>()?;
    let options = ReadOptions {
        shape: arguments.shape,
        columns: columns(&arguments.columns)?,
        prefer: arguments.prefer,
        demonstrations: arguments.sft,
        chat: arguments.chat.text_as_turns,
    };
    let chat = arguments.model_name_or_path.as_ref().map(|folder| arguments.chat.chat(folder)).transpose()?;
    let mut output = match &arguments.output {
        Some(path) => {
            let mut inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
            inputs.extend(arguments.model_name_or_path.as_deref());
            Some(open(&Output { path, inputs: &inputs, overwrite: arguments.overwrite }, &files, &options)?)
        }
        None => None,
    };
    let mut counted = Counted::default();
    for (index, file) in files.iter().enumerate() {
        let mut rows = match &output {
            Some((_, contents)) => Rows::open_again(file, options.clone(), &contents[index])?,
            None => Rows::open_as(file, options.clone())?,
        };
        for row in rows.by_ref() {
            let row = match row? {
                Ok(row) => row,
                Err(reason) => {
                    counted.dropped.add(reason);
                    continue;
                }
            };
            if counted.usable < arguments.samples {
                print(&row);
            }
            counted.add(&row, chat.as_ref())?;
            if let Some((output, _)) = &mut output
                && counted.usable > output.done()
            {
                output.push(&row)?;
            }
        }
        counted.shapes.extend(rows.shape().filter(|shape| !counted.shapes.contains(shape)));
    }
    if let Some((output, _)) = &output {
        output.expect_at_most(counted.usable)?;
    }
    counted.report(chat.as_ref());
    match (output, &arguments.output) {
        (Some((file, _)), Some(path)) => {
            file.finish()?;
            say!("written: {}", path_text(path));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The fields' columns, each of which is given once.
fn columns(given: &[(String, String)]) -> Result<BTreeMap<String, String>> {
    let mut columns = BTreeMap::new();
    for (field, column) in given {
        if let Some(other) = columns.insert(field.clone(), column.clone()) {
            let message = format!("`--columns` takes both `{other}` and `{column}` for `{field}`");
            return Err(Error::new(ErrorKind::Option, message));
        }
    }
    Ok(columns)
}

/// The output, gone on with if it is of the same rows and options, and what each file of them holds.
fn open(output: &Output<'_>, files: &[PathBuf], options: &ReadOptions) -> Result<(Resumable, Vec<Contents>)> {
    Resumable::check(output)?;
    let bar = progress::bar("digest of the file, MiB");
    let mebibytes = |bytes: u64| (bytes >> 20) as usize;
    let of_file =
        |file: &PathBuf| Contents::of_file(file, |read, all| progress::show(&bar, mebibytes(read), mebibytes(all)));
    let contents = files.iter().map(of_file).collect::<Result<Vec<Contents>>>()?;
    bar.finish_and_clear();
    let mut fingerprint = json!({
        "command": "data",
        "program": PROGRAM,
        "data_sha256": contents.iter().map(|file| file.sha256().to_string()).collect::<Vec<_>>().join(" "),
        "shape": options.shape.map(|shape| shape.to_string()),
        "columns": options.columns,
        "prefer": options.prefer.map(|prefer| prefer.to_string()),
        "sft": options.demonstrations,
    });
    if options.chat {
        fingerprint["chat"] = json!(true);
    }
    Ok((Resumable::open(output, &fingerprint)?, contents))
}

/// Smallest, mean and greatest of some counts.
#[derive(Debug, Default)]
struct Range {
    count: usize,
    sum: usize,
    least: usize,
    most: usize,
}

impl Range {
    fn add(&mut self, number: usize) {
        self.least = if self.count == 0 { number } else { self.least.min(number) };
        self.most = self.most.max(number);
        self.sum += number;
        self.count += 1;
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} to {}, {:.1} on average", self.least, self.most, self.sum as f64 / self.count.max(1) as f64)
    }
}

#[derive(Debug, Default)]
struct Counted {
    usable: usize,
    /// Those whose prompt is text that skips the model's template.
    texts: usize,
    /// What the files' rows look like.
    shapes: Vec<Shape>,
    dropped: Dropped,
    responses: Range,
    prompt: Range,
    response: Range,
    /// Rows with equal rewards below the best, and their pairs.
    tied: [usize; 2],
}

impl Counted {
    fn add(&mut self, row: &Row, chat: Option<&Chat>) -> Result<()> {
        self.usable += 1;
        self.texts += usize::from(chat.is_some_and(|chat| chat.skips_template(row.prompt())));
        self.dropped.leave_out(row.left_out());
        self.responses.add(row.responses().len());
        let ties = row.ties();
        self.tied = [self.tied[0] + usize::from(ties > 0), self.tied[1] + ties];
        match chat {
            None => {
                self.prompt.add(row.prompt().chars());
                row.responses().iter().for_each(|response| self.response.add(response.chars()));
            }
            Some(chat) => {
                let group = Example::new(row, chat)?.group;
                self.prompt.add(group.prompt.len());
                group.responses.iter().for_each(|response| self.response.add(response.len()));
            }
        }
        Ok(())
    }

    fn report(&self, chat: Option<&Chat>) {
        let unit = if chat.is_some() { "tokens" } else { "characters" };
        let shapes: Vec<String> = self.shapes.iter().map(Shape::to_string).collect();
        say!("shape                   {}", shapes.join(", "));
        say!("rows                    {}", self.usable + self.dropped.total());
        say!("usable                  {}", self.usable);
        say!("{}", self.dropped);
        if self.usable > 0 {
            say!("responses a prompt      {}", self.responses);
            say!("prompt, {unit:14}  {}", self.prompt);
            say!("response, {unit:12}  {}", self.response);
            say!("equal rewards           {} rows, {} pairs", self.tied[0], self.tied[1]);
        }
        let Some(chat) = chat else { return };
        say!("tokenizer               {}", chat.tokenizer().reading());
        if let Some(skipped) = skipped_template(self.texts) {
            say!("chat template           {skipped}");
        }
    }
}

fn print(row: &Row) {
    let turns = |turns: &[Message]| {
        turns.iter().map(|turn| format!("{}: {}", turn.role, turn.content)).collect::<Vec<_>>().join(" | ") //
    };
    let prompt = match row.prompt() {
        Prompt::Text(text) => shown(text),
        Prompt::Messages(messages) => shown(&turns(messages)),
    };
    say!("{}\n  prompt          {prompt}", visible(row.place()));
    for (response, reward) in row.responses().iter().zip(row.rewards()).take(RESPONSES) {
        let text = match response {
            Response::Text(text) => shown(text),
            Response::Messages(messages) => shown(&turns(messages)),
        };
        say!("  {reward:<15} {text}");
    }
    if row.responses().len() > RESPONSES {
        say!("  … {} more", row.responses().len() - RESPONSES);
    }
}

fn shown(text: &str) -> String {
    let text = visible(text);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
