//! Losses beside each other on lists: a step of each with the reference known, and whole runs with their reference.

use super::figures::Figures;
use super::lists::{example, step, trainer};
use super::machine::median;
use super::shape::Shape;
use hps_llama::Result;
use hps_llama::backend::Backend;
use hps_llama::train::{Example, Route, Trainer};

/// Responses of a list.
const LIST: usize = 100;
/// Of the lists on which PL is measured, and how many steps of HPS a step of PL stands for.
const WHOLE: [(usize, u32); 2] = [(20, 5), (LIST, 10)];
/// Prompts of a whole run, and its passes over them.
const RUN: [u32; 2] = [8, 5];

/// All beside BT, which reads two responses of a list however long it is.
pub fn measure<B: Backend>(backend: &B, shape: Shape, steps: u32, figures: &mut Figures) -> Result<()> {
    let [bt, hps] = beside_bt(backend, shape, "dpo-hps", LIST, steps)?;
    figures.add("bt_step_seconds", bt)?;
    figures.add("hps_over_bt_n100", hps / bt)?;
    whole_runs(backend, shape, figures)?;
    for (count, share) in WHOLE {
        let [bt, pl] = beside_bt(backend, shape, "dpo-pl", count, steps.div_ceil(share))?;
        figures.add(&format!("pl_over_bt_n{count}"), pl / bt)?;
    }
    Ok(())
}

/// Median seconds of a step of BT and of another loss in turn, each on one list with its reference known.
fn beside_bt<B: Backend>(backend: &B, shape: Shape, loss: &str, count: usize, steps: u32) -> Result<[f64; 2]> {
    let mut runs =
        [run(backend, shape, "dpo-bt", 1, count, steps + 1)?, run(backend, shape, loss, 1, count, steps + 1)?];
    for run in &mut runs {
        run.score_reference()?;
        step(run)?;
    }
    let mut seconds = [const { Vec::new() }; 2];
    for _ in 0..steps {
        for (seconds, run) in seconds.iter_mut().zip(&mut runs) {
            seconds.push(step(run)?);
        }
    }
    Ok(seconds.map(median))
}

/// Runs of BT and of HPS from their first reference log-prob to their last step, step by step in turn.
fn whole_runs<B: Backend>(backend: &B, shape: Shape, figures: &mut Figures) -> Result<()> {
    let [prompts, epochs] = RUN;
    let begin = |loss: &str| run(backend, shape, loss, prompts, LIST, epochs);
    let mut runs = [begin("dpo-bt")?, begin("dpo-hps")?];
    let mut seconds = [0.0; 2];
    for _ in 0..epochs {
        for (seconds, run) in seconds.iter_mut().zip(&mut runs) {
            *seconds += step(run)?;
        }
    }
    figures.add("run_prompts", prompts)?;
    figures.add("run_epochs", epochs)?;
    figures.add("run_seconds_bt", seconds[0])?;
    figures.add("run_hps_over_bt", seconds[1] / seconds[0])?;
    figures.add("run_reference_responses_bt", runs[0].reference().computed())?;
    figures.add("run_reference_responses_hps", runs[1].reference().computed())
}

fn run<B: Backend>(
    backend: &B,
    shape: Shape,
    loss: &str,
    prompts: u32,
    count: usize,
    steps: u32,
) -> Result<Trainer<B>> {
    let (prompt, response) = shape.pair();
    let vocabulary = shape.config()?.vocab_size;
    let lists: Vec<Example> = (0..prompts).map(|row| example(row, prompt, count, response, vocabulary)).collect();
    trainer(backend, shape, loss, lists, steps, Route::Keep)
}
