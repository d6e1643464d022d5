//! `hps generate`: prompts → a JSON line each, with n responses, from a model here or from a server.

use crate::backend::BackendFlags;
use crate::chat::ChatFlags;
use crate::progress;
use crate::terminal::{note, say};
use clap::Args;
use hps_llama::backend::{Backend, Job};
use hps_llama::data::{Dropped, PromptRow, Prompts};
use hps_llama::endpoint::{ApiKey, Endpoint, Request, Retries, endpoint_rows};
use hps_llama::files::Output;
use hps_llama::generate::{SamplingParams, generate_rows};
use hps_llama::lora::Lora;
use hps_llama::model::{Llama, Policy};
use hps_llama::resumable::Resumable;
use hps_llama::{Digest, Error, ErrorKind, Result};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a key is looked for if no other variable is named.
const KEY: &str = "OPENAI_API_KEY";
/// What besides the weights decides a prompt's tokens and a response's text.
const TEXT_FILES: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
    "chat_template.jinja",
    "additional_chat_templates/default.jinja",
];

/// What `hps generate` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A Llama folder in Hugging Face form.
    #[arg(long = "model_name_or_path", alias = "model-name-or-path", value_name = "DIR")]
    #[arg(required_unless_present = "endpoint", conflicts_with = "endpoint")]
    model_name_or_path: Option<PathBuf>,
    /// A PEFT adapter on it.
    #[arg(long, value_name = "DIR", conflicts_with = "endpoint")]
    adapter: Option<PathBuf>,
    /// A server that speaks OpenAI's interface: http://host:8000/v1.
    #[arg(long, value_name = "URL", requires = "model", conflicts_with_all = ["backend", "device", "dtype"])]
    endpoint: Option<String>,
    /// The server's name of the model.
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    model: Option<String>,
    /// Rows of any shape that `hps train` reads, or with a `prompt` alone.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Where the lines go. Killed and called again with the same options, it goes on.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Replace an output that exists, or lines that other options left.
    #[arg(long)]
    overwrite: bool,
    /// Responses a prompt.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// Divides the logits; 0 takes the most probable token always.
    #[arg(long, default_value_t = 0.9)]
    temperature: f64,
    /// Draw from the fewest most probable tokens that have this probability together.
    #[arg(long = "top_p", alias = "top-p", value_name = "P", default_value_t = 1.0)]
    top_p: f64,
    /// Draw from so many most probable tokens; 0 is all.
    #[arg(long = "top_k", alias = "top-k", value_name = "K", default_value_t = 0)]
    top_k: u32,
    /// Tokens a response at most, the end token included.
    #[arg(long = "max_tokens", alias = "max-tokens", value_name = "N", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    /// Keys all draws, with the prompt's line and the number of the response.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Tokens that end a response besides the model's own, with commas between.
    #[arg(long = "stop_token_ids", alias = "stop-token-ids", value_name = "IDS", value_delimiter = ',')]
    #[arg(conflicts_with = "endpoint")]
    stop_token_ids: Vec<u32>,
    /// Responses decoded at once; memory and speed depend on it, lines do not.
    #[arg(long = "max_num_seqs", alias = "max-num-seqs", value_name = "N", default_value_t = 256)]
    #[arg(conflicts_with = "endpoint", value_parser = clap::value_parser!(u32).range(1..))]
    max_num_seqs: u32,
    /// The server: the variable of the environment that holds its key [default: OPENAI_API_KEY, where it is set].
    #[arg(long = "api_key_env", alias = "api-key-env", value_name = "NAME", requires = "endpoint")]
    api_key_env: Option<String>,
    /// The server: requests at once.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(requires = "endpoint")]
    concurrency: u16,
    /// The server: responses a request at most [default: n].
    #[arg(long = "n_per_request", alias = "n-per-request", value_name = "N", requires = "endpoint")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    n_per_request: Option<u32>,
    /// The server: ask for log-probs.
    #[arg(long, requires = "endpoint")]
    logprobs: bool,
    /// The server: times a request is sent again, with pauses that double from half a second to a minute.
    #[arg(long = "max_retries", alias = "max-retries", value_name = "N", default_value_t = 8, requires = "endpoint")]
    max_retries: u32,
    /// The server: seconds a request may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "endpoint")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    #[command(flatten)]
    chat: ChatFlags,
    #[command(flatten)]
    backend: BackendFlags,
}

/// Writes a line for each prompt, in the file's order.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (total, dropped) = count(&arguments.data)?;
    match (&arguments.endpoint, &arguments.model, &arguments.model_name_or_path) {
        (Some(url), Some(model), _) => served(arguments, url, model, total)?,
        (None, _, Some(folder)) => arguments.backend.choice().run(Local { arguments, folder, total })?,
        _ => return Err(Error::new(ErrorKind::Option, "neither `model_name_or_path` nor `endpoint` and `model`")),
    }
    say!("{}: {total} prompts, {} responses each", arguments.output.display(), arguments.n);
    if !dropped.is_empty() {
        note!("{dropped}");
    }
    Ok(())
}

/// Reads the file once, so that a malformed row is told before hours of work and not after.
fn count(data: &Path) -> Result<(usize, Dropped)> {
    let (mut total, mut dropped) = (0, Dropped::default());
    for row in Prompts::open(data)? {
        match row? {
            Ok(_) => total += 1,
            Err(reason) => dropped.add(reason),
        }
    }
    Ok((total, dropped))
}

/// The prompts, without rows that have none.
fn prompts(data: &Path) -> Result<impl Iterator<Item = Result<PromptRow>>> {
    Ok(Prompts::open(data)?.filter_map(|row| row.map(std::result::Result::ok).transpose()))
}

/// A model here.
struct Local<'a> {
    arguments: &'a Arguments,
    folder: &'a Path,
    total: usize,
}

impl Job for Local<'_> {
    type Output = ();
    type Error = Error;

    fn run<B: Backend>(self, backend: B) -> Result<()> {
        let Local { arguments, folder, total } = self;
        let chat = arguments.chat.chat(folder)?;
        let model = Llama::from_folder(backend.clone(), folder, false)?;
        let adapter = match &arguments.adapter {
            Some(folder) => Some(Lora::from_folder(&backend, model.config(), folder, 0)?),
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
        for name in TEXT_FILES.into_iter().filter(|name| folder.join(name).exists()) {
            texts[name] = json!(Digest::of_file(folder.join(name))?.to_string());
        }
        let adapter_digest = adapter.as_ref().map(|adapter| adapter.digest(&backend)).transpose()?;
        let fingerprint = json!({
            "command": "generate", "options": options, "data_sha256": Digest::of_file(&arguments.data)?.to_string(),
            "model_sha256": model.digest()?.to_string(), "adapter_sha256": adapter_digest.map(|digest| digest.to_string()),
            "texts_sha256": texts, "arithmetic": backend.arithmetic(),
        });
        let policy = Policy { model, adapter };
        write(arguments, &fingerprint, total, |output, bar| {
            let advance = |lines: usize| bar.set_position(lines as u64);
            generate_rows(&policy, &chat, prompts(&arguments.data)?, &params, output, advance)
        })
    }
}

fn served(arguments: &Arguments, url: &str, model: &str, total: usize) -> Result<()> {
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
        seed: arguments.seed,
        logprobs: arguments.logprobs,
    };
    let mut options = options(arguments);
    options["logprobs"] = json!(arguments.logprobs);
    let fingerprint = json!({
        "command": "generate", "options": options, "data_sha256": Digest::of_file(&arguments.data)?.to_string(),
        "endpoint": endpoint.url(), "model": model,
    });
    write(arguments, &fingerprint, total, |output, bar| {
        let (concurrency, advance) =
            (usize::from(arguments.concurrency), |lines: usize| bar.set_position(lines as u64));
        endpoint_rows(&endpoint, &request, prompts(&arguments.data)?, concurrency, output, advance)
    })
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
    let output = Output { path: &arguments.output, inputs: &[&arguments.data], overwrite: arguments.overwrite };
    let mut output = Resumable::open(&output, fingerprint)?;
    if output.resumed() > 0 {
        note!("{}: goes on after {} of {total} prompts", arguments.output.display(), output.resumed());
    }
    let bar = progress::bar("generate");
    progress::show(&bar, output.resumed(), total);
    fill(&mut output, &bar)?;
    bar.finish_and_clear();
    output.finish()
}
