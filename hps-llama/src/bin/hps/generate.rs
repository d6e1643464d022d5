//! `hps generate`: prompts → a JSON line each, with n responses, from a model here or from a server.

use crate::backend::BackendFlags;
use crate::chat::{ChatFlags, prompts_are, skipped_template};
use crate::progress;
use crate::quantisation::{QuantisationFlags, load};
use crate::terminal::{note, path_text, say};
use clap::Args;
use hps_llama::backend::{Backend, Job};
use hps_llama::data::{Contents, Dropped, Prompt, PromptRow, Prompts, expect_rereadable};
use hps_llama::endpoint::{
    ApiKey, Endpoint, MaxTokensField, Pause, Progress, Request, Retries, Tally, Unusable, endpoint_rows,
};
use hps_llama::files::Output;
use hps_llama::generate::{SamplingParams, generate_rows};
use hps_llama::lora::Lora;
use hps_llama::model::Policy;
use hps_llama::resumable::{PROGRAM, Resumable};
use hps_llama::{Digest, Error, ErrorKind, Result};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where a key is looked for if no other variable is named.
const KEY: &str = "OPENAI_API_KEY";
/// What besides the weights decides a prompt's tokens and a response's text.
const TEXT_FILES: [&str; 8] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/default.jinja",
];

/// What `hps generate` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Llama model: a folder in Hugging Face format, or a GGUF file.
    #[arg(long = "model_name_or_path", alias = "model-name-or-path", value_name = "DIR")]
    #[arg(required_unless_present = "endpoint", conflicts_with = "endpoint")]
    model_name_or_path: Option<PathBuf>,
    /// PEFT adapter of this model.
    #[arg(long = "adapter_name_or_path", aliases = ["adapter-name-or-path", "adapter"])]
    #[arg(value_name = "DIR", conflicts_with = "endpoint")]
    adapter: Option<PathBuf>,
    /// Accept an adapter that records another base model.
    #[arg(long = "allow_other_base", alias = "allow-other-base", requires = "adapter")]
    allow_other_base: bool,
    /// Server with an OpenAI-compatible interface: http://host:8000/v1.
    #[arg(long, value_name = "URL", requires = "model", conflicts_with_all = ["backend", "device", "dtype", "quantised"])]
    endpoint: Option<String>,
    /// Name of the model on the server.
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    model: Option<String>,
    /// Rows in any shape that `hps train` reads, or with only a `prompt`; a file, not a pipe: it is read twice.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Output file. An interrupted command goes on where it was when it is called again with the same options.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Replace an existing output, or the unfinished one of other options.
    #[arg(long)]
    overwrite: bool,
    /// Number of responses to each prompt.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// Sampling temperature; 0 always takes the most probable token.
    #[arg(long, default_value_t = 0.9)]
    temperature: f64,
    /// Nucleus sampling: draw from the fewest most probable tokens that together have this probability.
    #[arg(long = "top_p", alias = "top-p", value_name = "P", default_value_t = 1.0)]
    top_p: f64,
    /// Draw from this many most probable tokens; 0 means all.
    #[arg(long = "top_k", alias = "top-k", value_name = "K", default_value_t = 0)]
    top_k: u32,
    /// Maximum tokens of a response, the end token included.
    #[arg(long = "max_tokens", alias = "max-tokens", value_name = "N", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    /// Random seed. A response depends on it, on the prompt's line and on the number of the response.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Token ids that also end a response, separated by commas.
    #[arg(long = "stop_token_ids", alias = "stop-token-ids", value_name = "IDS", value_delimiter = ',')]
    #[arg(conflicts_with = "endpoint")]
    stop_token_ids: Vec<u32>,
    /// Responses decoded at the same time; changes memory and speed, not the output.
    #[arg(long = "max_num_seqs", alias = "max-num-seqs", value_name = "N", default_value_t = 256)]
    #[arg(conflicts_with = "endpoint", value_parser = clap::value_parser!(u32).range(1..))]
    max_num_seqs: u32,
    /// Server: environment variable that holds the key [default: OPENAI_API_KEY, if it is set].
    /// Where the server repeats the key, `[key]` is written, in lines from 8 characters on and in errors from 4.
    #[arg(long = "api_key_env", alias = "api-key-env", value_name = "NAME", requires = "endpoint")]
    api_key_env: Option<String>,
    /// Server: number of parallel requests.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(requires = "endpoint")]
    concurrency: u16,
    /// Server: maximum responses in one request [default: n].
    #[arg(long = "n_per_request", alias = "n-per-request", value_name = "N", requires = "endpoint")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    n_per_request: Option<u32>,
    /// Server: ask for log-probs.
    #[arg(long, requires = "endpoint")]
    logprobs: bool,
    /// Server: what to do with a choice that is no response (a refusal, a tool call, an empty text, …): `drop`
    /// leaves it out of its line and counts it there, `error` ends the run [default: drop].
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    unusable: Option<Unusable>,
    /// Server: field of a chat request for the maximum tokens: `max_tokens`, or `max_completion_tokens`,
    /// which OpenAI's newer models ask for [default: max_tokens].
    #[arg(long = "max_tokens_field", alias = "max-tokens-field", value_name = "NAME", requires = "endpoint")]
    max_tokens_field: Option<MaxTokensField>,
    /// Server: number of retries of a failed request, with exponential back-off from 0.5 to 60 seconds.
    #[arg(long = "max_retries", alias = "max-retries", value_name = "N", default_value_t = 8, requires = "endpoint")]
    max_retries: u32,
    /// Server: time limit of a request, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "endpoint")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    #[command(flatten)]
    chat: ChatFlags,
    #[command(flatten)]
    quantisation: QuantisationFlags,
    #[command(flatten)]
    backend: BackendFlags,
}

/// Writes a line for each prompt, in the file's order.
pub fn run(arguments: &Arguments) -> Result<()> {
    Resumable::check(&output(arguments, &inputs(arguments)))?;
    let counted = count(&arguments.data)?;
    let (total, dropped) = (counted.total, counted.dropped);
    let tally = match (&arguments.endpoint, &arguments.model, &arguments.model_name_or_path) {
        (Some(url), Some(model), _) => served(arguments, url, model, &counted)?,
        (None, _, Some(folder)) => {
            arguments.backend.choice().run(Local { arguments, folder, counted: &counted })?;
            Tally::default()
        }
        _ => return Err(Error::new(ErrorKind::Option, "neither `model_name_or_path` nor `endpoint` and `model`")),
    };
    let (output, n) = (path_text(&arguments.output), arguments.n);
    match tally.left_out.is_empty() {
        true => say!("{output}: {total} prompts, {n} responses each"),
        false => say!("{output}: {total} prompts, {} of {} responses", tally.responses, total * n as usize),
    }
    let told = tally.to_string();
    if !told.is_empty() {
        note!("{told}");
    }
    if !dropped.is_empty() {
        note!("{dropped}");
    }
    Ok(())
}

/// What is read.
fn inputs(arguments: &Arguments) -> Vec<&Path> {
    let folders = [&arguments.model_name_or_path, &arguments.adapter].into_iter().flatten();
    std::iter::once(&arguments.data).chain(folders).map(PathBuf::as_path).collect()
}

fn output<'a>(arguments: &'a Arguments, inputs: &'a [&'a Path]) -> Output<'a> {
    Output { path: &arguments.output, inputs, overwrite: arguments.overwrite }
}

/// A file of prompts, read once.
struct Counted {
    total: usize,
    /// Those of them that are text.
    texts: usize,
    dropped: Dropped,
    contents: Contents,
}

/// Reads the file once, so that a malformed row is told before hours of work and not after.
fn count(data: &Path) -> Result<Counted> {
    expect_rereadable(data)?;
    let (mut total, mut texts, mut dropped) = (0, 0, Dropped::default());
    let mut prompts = Prompts::open(data)?;
    for row in prompts.by_ref() {
        match row? {
            Ok(row) => {
                total += 1;
                texts += usize::from(matches!(row.prompt, Prompt::Text(_)));
            }
            Err(reason) => dropped.add(reason),
        }
    }
    Ok(Counted { total, texts, dropped, contents: prompts.contents()? })
}

/// The prompts, without rows that have none, of the file that was counted.
fn prompts(arguments: &Arguments, contents: &Contents) -> Result<impl Iterator<Item = Result<PromptRow>>> {
    let chat = arguments.chat.text_as_turns;
    let rows = Prompts::open_again(&arguments.data, contents)?;
    let rows = rows.filter_map(|row| row.map(std::result::Result::ok).transpose());
    Ok(rows.map(move |row| if chat { row.map(PromptRow::into_chat) } else { row }))
}

/// A model here.
struct Local<'a> {
    arguments: &'a Arguments,
    folder: &'a Path,
    counted: &'a Counted,
}

impl Job for Local<'_> {
    type Output = ();
    type Error = Error;

    fn run<B: Backend>(self, backend: B) -> Result<()> {
        let Local { arguments, folder, counted: Counted { total, texts, contents, .. } } = self;
        let chat = arguments.chat.chat(folder)?;
        let skip = chat.template().is_some() && !arguments.chat.text_as_turns;
        if let Some(skipped) = skipped_template(*texts).filter(|_| skip) {
            note!("{skipped}");
        }
        let model = load(backend.clone(), arguments.quantisation.source(folder), false)?;
        let adapter = match &arguments.adapter {
            Some(folder) => {
                let adapter = Lora::from_folder(&backend, model.config(), folder, 0)?;
                Some(model.accept(adapter, arguments.allow_other_base)?)
            }
            None => None,
        };
        let mut stop_token_ids = model.config().eos_token_ids.clone();
        stop_token_ids.extend(&arguments.stop_token_ids);
        stop_token_ids.sort_unstable();
        stop_token_ids.dedup();
        let params = SamplingParams {
            temperature: arguments.temperature as f32,
            top_p: arguments.top_p as f32,
            top_k: arguments.top_k,
            max_tokens: arguments.max_tokens as usize,
            n: arguments.n as usize,
            seed: arguments.seed,
            stop_token_ids,
            max_num_seqs: arguments.max_num_seqs as usize,
            allow_long_positions: arguments.chat.allow_long_positions,
        };
        params.check()?;
        let mut options = options(arguments);
        options["stop_token_ids"] = json!(params.stop_token_ids);
        arguments.chat.note_in(&mut options);
        let mut texts = json!({});
        for name in TEXT_FILES {
            if let Some(digest) = Digest::of_beside(folder, name)? {
                texts[name] = json!(digest.to_string());
            }
        }
        let adapter_digest = adapter.as_ref().map(|adapter| adapter.digest(&backend)).transpose()?;
        let fingerprint = json!({
            "command": "generate", "program": PROGRAM, "options": options, "data_sha256": contents.sha256().to_string(),
            "model_sha256": model.digest()?.to_string(), "adapter_sha256": adapter_digest.map(|digest| digest.to_string()),
            "texts_sha256": texts, "arithmetic": model.arithmetic(),
        });
        let policy = Policy { model, adapter };
        write(arguments, &fingerprint, *total, |output, bar| {
            let advance = |lines: usize| bar.set_position(lines as u64);
            generate_rows(&policy, &chat, prompts(arguments, contents)?, &params, output, advance)
        })
    }
}

fn served(arguments: &Arguments, url: &str, model: &str, counted: &Counted) -> Result<Tally> {
    let Counted { total, texts, contents, .. } = counted;
    if *texts > 0 && !arguments.chat.text_as_turns {
        let prompts = prompts_are(*texts);
        note!("{prompts} text, which the server completes without a chat template; `--chat` makes each a user's turn");
    }
    if arguments.chat.template_date.is_some() || arguments.chat.allow_long_positions {
        let message = "`template_date` and `allow_long_positions` are for a model here; a server has its own template";
        return Err(Error::new(ErrorKind::Option, message));
    }
    let retries = Retries { max_retries: arguments.max_retries, ..Retries::default() };
    let key = key(arguments.api_key_env.as_deref())?;
    let endpoint = Endpoint::new(url, key, Duration::from_secs(arguments.timeout), retries)?;
    let request = Request {
        model: model.to_string(),
        n: arguments.n as usize,
        n_per_request: arguments.n_per_request.unwrap_or(arguments.n) as usize,
        temperature: arguments.temperature,
        top_p: arguments.top_p,
        top_k: arguments.top_k,
        max_tokens: arguments.max_tokens as usize,
        max_tokens_field: arguments.max_tokens_field.unwrap_or_default(),
        seed: arguments.seed,
        logprobs: arguments.logprobs,
        unusable: arguments.unusable.unwrap_or_default(),
    };
    request.check()?;
    let mut options = options(arguments);
    options["logprobs"] = json!(arguments.logprobs);
    options["max_tokens_field"] = json!(request.max_tokens_field.name());
    arguments.chat.note_in(&mut options);
    // The seeds of a prompt's requests depend on how many responses each asks for.
    options["n_per_request"] = json!(request.n_per_request);
    let fingerprint = json!({
        "command": "generate", "program": PROGRAM, "options": options, "data_sha256": contents.sha256().to_string(),
        "endpoint": endpoint.url(), "model": model,
    });
    write(arguments, &fingerprint, *total, |output, bar| {
        let (mut told_until, prompts) = (Instant::now(), prompts(arguments, contents)?);
        endpoint_rows(&endpoint, &request, prompts, arguments.concurrency.into(), output, |news| match news {
            Progress::Lines(lines) => bar.set_position(lines as u64),
            Progress::Pause(pause) => tell(bar, &pause, &mut told_until),
        })
    })?;
    // Of the file, so that what a killed run left out is counted too.
    Tally::of_file(&arguments.output)
}

/// Tells of a pause, one at a time: what other requests wait for meanwhile is mostly the same.
fn tell(bar: &ProgressBar, pause: &Pause, told_until: &mut Instant) {
    let now = Instant::now();
    if now >= *told_until {
        *told_until = now + pause.length;
        bar.suspend(|| note!("{pause}"));
    }
}

/// What changes the responses.
fn options(arguments: &Arguments) -> Value {
    json!({
        "n": arguments.n, "temperature": arguments.temperature, "top_p": arguments.top_p, "top_k": arguments.top_k,
        "max_tokens": arguments.max_tokens, "seed": arguments.seed,
    })
}

/// The server's key, where there is one.
fn key(variable: Option<&str>) -> Result<Option<ApiKey>> {
    let name = variable.unwrap_or(KEY);
    let place = || format!("the environment's `{name}`");
    match (std::env::var_os(name), variable) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::new(ErrorKind::Option, "is not set").at(place())),
        (Some(key), _) => match key.to_str() {
            Some(key) => ApiKey::new(key).map(Some).map_err(|error| error.at(place())),
            None => Err(Error::new(ErrorKind::Option, "is not text").at(place())),
        },
    }
}

/// Opens the output, goes on with it, and gives it its name.
fn write(
    arguments: &Arguments,
    fingerprint: &Value,
    total: usize,
    fill: impl FnOnce(&mut Resumable, &ProgressBar) -> Result<()>,
) -> Result<()> {
    let mut output = Resumable::open(&output(arguments, &inputs(arguments)), fingerprint)?;
    output.expect_at_most(total)?;
    if output.resumed() > 0 {
        note!("{}: resumes after {} of {total} prompts", path_text(&arguments.output), output.resumed());
    }
    let bar = progress::bar("generate");
    progress::show(&bar, output.resumed(), total);
    fill(&mut output, &bar)?;
    bar.finish_and_clear();
    output.finish()
}
