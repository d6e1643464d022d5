//! Attention: cut by blocks of queries as whole; gradients of keys, whose queries are cut, within a rounding of each part.

use crate::cuts::Cuts;
use crate::numbers::{array, indices};
use crate::tolerance;
use hps_wgpu::{ErrorKind, Heads};

/// Spans of `(prompt, responses)`, each response after its prompt, in tokens.
pub fn spans(prompts: &[(u32, &[u32])]) -> Vec<u32> {
    let mut spans = Vec::new();
    let mut start = 0;
    for (prompt, responses) in prompts {
        let end = start + prompt + responses.iter().sum::<u32>();
        let prefix = [start, start + prompt];
        spans.extend([0, 0, start, end].repeat(*prompt as usize));
        start += prompt;
        for response in *responses {
            spans.extend([prefix[0], prefix[1], start, start + response].repeat(*response as usize));
            start += response;
        }
    }
    spans
}

const HEADS: Heads = Heads { query: 4, key_value: 2, dimension: 32 };

/// Two prompts of 300 tokens in all; the second one's last answers, 100 tokens, may be asked alone.
const PACKED: [(u32, &[u32]); 2] = [(45, &[31, 1, 40]), (63, &[20, 77, 23])];

#[test]
fn queries() {
    let Some(cuts) = Cuts::open() else { return };
    for dimension in [32, 6, 1] {
        for asked in [300, 100] {
            let heads = Heads { dimension, ..HEADS };
            let name = format!("{asked} queries, heads of {dimension} columns");
            let results = cuts.of(&name, &["clear", "along"], |device| {
                let spans = device.upload_indices(&spans(&PACKED))?;
                let [q, dy] = [1, 2].map(|seed| array(device, seed, asked, 4 * dimension));
                let [k, v] = [3, 4].map(|seed| array(device, seed, 300, 2 * dimension));
                let attended = device.attention(&q, &k, &v, &spans, heads)?;
                let there = [&attended.output, &attended.log_sum_exp];
                let [dq, dk, dv] = device.attention_backward(&dy, [&q, &k, &v], there, &spans, heads)?;
                Ok(vec![attended.output, attended.log_sum_exp, dq, dk, dv])
            });
            results.agree(&name);
        }
    }
}

/// 700 tokens, of whose queries a kernel sees 512, and 163 of wider ones.
#[test]
fn more_queries_than_are_seen() {
    let Some(cuts) = Cuts::open() else { return };
    for heads in [HEADS, Heads { query: 10, key_value: 1, dimension: 40 }] {
        let name = format!("{heads:?}");
        let mut results = cuts.of(&name, &["clear"], |device| {
            let spans = device.upload_indices(&spans(&[(101, &[100, 99]), (55, &[7, 38, 300])]))?;
            let [q, dy] = [1, 2].map(|seed| array(device, seed, 700, heads.query * heads.dimension));
            let [k, v] = [3, 4].map(|seed| array(device, seed, 700, heads.key_value * heads.dimension));
            let attended = device.attention(&q, &k, &v, &spans, heads)?;
            let there = [&attended.output, &attended.log_sum_exp];
            let [dq, dk, dv] = device.attention_backward(&dy, [&q, &k, &v], there, &spans, heads)?;
            Ok(vec![attended.output, attended.log_sum_exp, dq, dk, dv])
        });
        let of_keys = results.split_off(3);
        results.agree(&name);
        of_keys.agree_within(&name, tolerance::WALKS);
    }
}

/// 128 rows are seen: enough where blocks of queries start at multiples of their size, refused where one reaches further.
#[test]
fn as_few_rows_as_may_be_bound() {
    let Some(cuts) = Cuts::open() else { return };
    let heads = Heads { query: 8, key_value: 1, dimension: 64 };
    let results = cuts.of("aligned", &[], |device| {
        let spans = device.upload_indices(&spans(&[(256, &[])]))?;
        let (q, k) = (array(device, 1, 256, 512), array(device, 2, 256, 64));
        let attended = device.attention(&q, &k, &k, &spans, heads)?;
        Ok(vec![attended.output, attended.log_sum_exp])
    });
    results.agree("aligned");
    let spans = cuts.cut.upload_indices(&spans(&[(120, &[136])])).unwrap();
    let (q, k) = (array(&cuts.cut, 1, 256, 512), array(&cuts.cut, 2, 256, 64));
    let refused = cuts.cut.attention(&q, &k, &k, &spans, heads).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OutOfMemory);
    assert!(refused.to_string().contains("136 rows of 512 numbers"), "{refused}");
}

#[test]
fn decoded() {
    let Some(cuts) = Cuts::open() else { return };
    for heads in [HEADS, Heads { dimension: 6, ..HEADS }, Heads { query: 2, key_value: 1, dimension: 130 }] {
        let name = format!("{heads:?}");
        let results = cuts.of(&name, &[], |device| {
            let starts = indices(1, 3 * 600, 80);
            let spans: Vec<u32> =
                starts.as_chunks::<3>().0.iter().flat_map(|[a, b, c]| [*a, 80 + b, 160, 161 + c]).collect();
            let spans = device.upload_indices(&spans)?;
            let [k, v] = [2, 3].map(|seed| array(device, seed, 250, heads.key_value * heads.dimension));
            let q = array(device, 4, 600, heads.query * heads.dimension);
            Ok(vec![device.decode_attention(&q, &k, &v, &spans, heads)?])
        });
        results.agree(&name);
    }
}
