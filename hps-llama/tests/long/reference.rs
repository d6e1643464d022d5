//! Runs that share one file of reference log-probs: all of them end, and it has what each of them computed.

use crate::call::Call;
use crate::draw::Draw;
use crate::inputs::Inputs;
use crate::process::Process;
use crate::races::run;
use crate::tree;
use crate::violations::folder;
use safetensors::SafeTensors;
use std::collections::BTreeSet;
use std::path::Path;

/// Keys of all entries of a cache's one file.
fn keys(cache: &Path) -> Result<BTreeSet<Vec<u8>>, String> {
    let names = tree::names(cache);
    let [name] = &names[..] else { return Err(format!("the cache has not one file but {names:?}")) };
    let bytes = std::fs::read(cache.join(name)).expect("the file");
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| format!("{name} is damaged: {error}"))?;
    let keys = tensors.tensor("keys").map_err(|error| format!("{name}: {error}"))?;
    Ok(keys.data().chunks(32).map(<[u8]>::to_vec).collect())
}

fn share(case: &Path, inputs: &Inputs, draw: &mut Draw) -> Result<usize, String> {
    let first = Call::sharing(draw, inputs);
    let count = if draw.chance(50) { 4 } else { 2 };
    let calls: Vec<Call> = (0..count).map(|number| first.other(number)).collect();
    let mut expected = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        let alone = folder(case, &format!("alone/{number}/run"));
        let ended = Process::start(&call.arguments(inputs, &[]), &alone, 2).wait()?;
        if !ended.done() {
            return Err(format!(
                "undisturbed, it fails: {}\nhps {}",
                ended.error,
                call.arguments(inputs, &[]).join(" ")
            ));
        }
        expected.push((call.result(&alone), keys(&alone.join("../cache"))?, ended.took));
    }
    let together = folder(case, "together");
    let mut processes = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        if draw.chance(30) {
            std::thread::sleep(expected[0].2.mul_f64(draw.share()));
        }
        let own = folder(&together, &number.to_string());
        processes.push((Process::start(&call.arguments(inputs, &[]), &own, 1), own));
    }
    let told = |message: String| format!("{count} runs in {}: {message}", together.display());
    for (number, (process, own)) in processes.into_iter().enumerate() {
        let ended = process.wait().map_err(told)?;
        if !ended.done() {
            return Err(told(format!("run {number} fails: {}", ended.error)));
        }
        if let Some(difference) = tree::difference(&expected[number].0, &calls[number].result(&own)) {
            return Err(told(format!("run {number}: {difference}")));
        }
    }
    let found = keys(&together.join("cache")).map_err(told)?;
    for (number, (_, keys, _)) in expected.iter().enumerate() {
        let missing = keys.difference(&found).count();
        if missing > 0 {
            return Err(told(format!("{missing} of {} responses of run {number} are not in the cache", keys.len())));
        }
    }
    match tree::names(&together).iter().find(|name| tree::is_temporary(name)) {
        Some(name) => Err(told(format!("{name} is left"))),
        None => Ok(count),
    }
}

#[test]
fn all_that_share_a_cache_live() {
    run("all_that_share_a_cache_live", share);
}
