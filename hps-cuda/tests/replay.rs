//! Steps of generation that are recorded and replayed, against the same steps computed anew.

#[allow(dead_code)] // The other tests use the rest.
mod support;

use cudarc::driver::CudaContext;
use hps_cuda::{Array, Device, Drawn, Format, Heads, Replay, Result, StepArrays, StepNumbers, Truncation, Weight};
use support::{Matrix, device, words};

const HEADS: Heads = Heads { query: 4, key_value: 2, dimension: 16 };
const WORDS: usize = 300;
const ROWS: usize = 1500;
const PREFIX: u32 = 40;
const TRUNCATION: Truncation = Truncation { temperature: 0.7, top_k: 40, top_p: 0.9 };

/// One layer of attention over a cache, between embeddings and a head.
struct Model {
    queries: Weight,
    keys: Weight,
    head: Weight,
    frequencies: Array,
    cache: [Array; 2],
    /// How often a step was queued.
    calls: usize,
}

impl Model {
    fn new(device: &Device) -> Model {
        Model::of(device, |numbers| numbers.weight(device, Format::BF16))
    }

    fn of(device: &Device, weight: impl Fn(&Matrix) -> Weight) -> Model {
        let [query, key] = [HEADS.query, HEADS.key_value].map(|heads| heads * HEADS.dimension);
        let weight = |seed, columns| weight(&Matrix::random(seed, WORDS, columns));
        let cached = |seed| Matrix::random(seed, ROWS, key).array(device, Format::BF16);
        Model {
            queries: weight(1, query),
            keys: weight(2, key),
            head: weight(3, query),
            frequencies: device.upload(&[0.5; 8], 8).unwrap(),
            cache: [cached(4), cached(5)],
            calls: 0,
        }
    }

    fn step(&mut self, device: &Device, there: &StepArrays) -> Result<Drawn> {
        self.calls += 1;
        let rotation = device.rotation(&there.positions, &self.frequencies)?;
        let [q, k] = [&self.queries, &self.keys].map(|table| {
            let rows = device.embed_as(table, &there.tokens, Format::BF16)?;
            device.rotate(rows, &rotation, HEADS.dimension, false)
        });
        let k = k?;
        for cached in &mut self.cache {
            device.write_rows(cached, &there.rows, &k)?;
        }
        let [keys, values] = &self.cache;
        let y = device.decode_attention(&q?, keys, values, &there.spans, HEADS)?;
        device.sample(&y, &self.head, TRUNCATION, &there.uniforms)
    }
}

/// A way to run a step: from its numbers to what is drawn.
type Run<'a> = dyn FnMut(&StepNumbers<'_>) -> Result<(Vec<u32>, Vec<f32>)> + 'a;

/// Sequences behind one prefix, each with room for so many rows.
struct Sequences {
    tokens: Vec<u32>,
    room: u32,
    uniforms: Box<dyn FnMut() -> u32>,
}

impl Sequences {
    fn new(count: usize) -> Sequences {
        Sequences { tokens: vec![7; count], room: 700, uniforms: Box::new(words(6)) }
    }

    /// One token of each, the `length`-th, by a way to run a step.
    fn step(&mut self, length: u32, place: u64, run: &mut Run<'_>) -> (Vec<u32>, Vec<f32>) {
        let starts: Vec<u32> = (0..self.tokens.len() as u32).map(|slot| PREFIX + slot * self.room).collect();
        let uniforms: Vec<f32> = starts.iter().map(|_| ((self.uniforms)() >> 8) as f32 / 16_777_216.0).collect();
        let positions = vec![PREFIX + length; starts.len()];
        let rows: Vec<u32> = starts.iter().map(|start| start + length).collect();
        let spans: Vec<u32> = starts.iter().flat_map(|start| [0, PREFIX, *start, start + length + 1]).collect();
        let numbers = StepNumbers {
            tokens: &self.tokens,
            positions: &positions,
            rows: &rows,
            spans: &spans,
            uniforms: &uniforms,
            place,
        };
        let drawn = run(&numbers).unwrap();
        self.tokens.clone_from(&drawn.0);
        drawn
    }
}

/// Steps of two sequences, then of one: from the length of each, how often the step had been queued by then.
const STEPS: [(usize, u32, usize); 11] = [
    // Computed, recorded, replayed.
    (2, 0, 1),
    (2, 1, 2),
    (2, 2, 2),
    (2, 3, 2),
    // Keys fill another part of attention's: another grid.
    (2, 600, 3),
    (2, 601, 4),
    (2, 602, 4),
    // A sequence has ended.
    (1, 603, 5),
    (1, 604, 6),
    (1, 605, 6),
    (1, 606, 6),
];

#[test]
fn replayed_steps_are_the_computed_ones() {
    let Some(device) = device() else { return };
    let drawn = steps_are_replayed(&device, &|| Model::new(&device));
    // In codes: the same numbers, decoded within the graph.
    let of_codes = steps_are_replayed(&device, &|| Model::of(&device, |numbers| numbers.codes(&device)));
    assert_eq!(of_codes, drawn);
}

/// What is drawn by steps that are replayed, and by others.
fn steps_are_replayed(device: &Device, model: &dyn Fn() -> Model) -> Vec<Vec<u32>> {
    let (mut replayed, mut computed) = (model(), model());
    let (mut ours, mut theirs) = (Sequences::new(2), Sequences::new(2));
    let mut replay = Replay::default();
    let mut seen = Vec::new();
    for (count, length, calls) in STEPS {
        for sequences in [&mut ours, &mut theirs] {
            sequences.tokens.truncate(count);
        }
        let got = ours.step(length, 0, &mut |numbers| {
            device.replay(&mut replay, numbers, &mut |there| replayed.step(device, there)) //
        });
        let want = theirs.step(length, 0, &mut |numbers| {
            // A replay of its own is never used twice.
            device.replay(&mut Replay::default(), numbers, &mut |there| computed.step(device, there))
        });
        assert_eq!(got, want, "step {length} of {count}");
        assert_eq!(replayed.calls, calls, "step {length} of {count}");
        seen.push(got.0);
    }
    assert_eq!(computed.calls, STEPS.len());
    let mut others = seen.clone();
    others.dedup();
    assert!(others.len() > 5, "tokens differ from step to step: {seen:?}");
    seen
}

/// What a step reads lies elsewhere: nothing recorded is used.
#[test]
fn another_place_is_recorded_anew() {
    let Some(device) = device() else { return };
    let (mut model, mut sequences, mut replay) = (Model::new(&device), Sequences::new(2), Replay::default());
    for (length, place, calls) in [(0, 0, 1), (1, 0, 2), (2, 0, 2), (3, 1, 3), (4, 1, 4), (5, 1, 4)] {
        if place == 1 && calls == 3 {
            model.cache = Model::new(&device).cache;
        }
        sequences.step(length, place, &mut |numbers| {
            device.replay(&mut replay, numbers, &mut |there| model.step(&device, there)) //
        });
        assert_eq!(model.calls, calls, "step {length}");
    }
}

/// Set in the program that has a small device.
const SMALL: &str = "HPS_TEST_OF_A_FULL_DEVICE";

/// A step is recorded where all of the device's memory is kept for arrays of other sizes: what is not in use goes back.
#[test]
fn a_step_is_recorded_on_a_full_device() {
    let Some(device) = device() else { return };
    if std::env::var_os(SMALL).is_none() {
        if device.name() != "PTX emulator" {
            eprintln!("SKIPPED, as {} is not small", device.name());
            return;
        }
        let ended = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["a_step_is_recorded_on_a_full_device", "--exact"])
            .envs([(SMALL, "1"), ("EMULATOR_MEMORY", "128")])
            .output()
            .unwrap();
        let [out, error] = [&ended.stdout, &ended.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(ended.status.success(), "{out}{error}");
        return;
    }
    let (mut model, mut sequences, mut replay) = (Model::new(&device), Sequences::new(2), Replay::default());
    let mut step = |length, calls| {
        sequences.step(length, 0, &mut |numbers| {
            device.replay(&mut replay, numbers, &mut |there| model.step(&device, there)) //
        });
        assert_eq!(model.calls, calls);
    };
    step(0, 1);
    let mut held = Vec::new();
    while let Ok(array) = device.zeros(256, 1024, Format::F32) {
        held.push(array);
    }
    assert!(held.len() > 10, "{}", held.len());
    held.truncate(held.len() / 2);
    step(1, 2);
    step(2, 2);
}

/// CUDA records nothing on the null stream, which is that of programs that open none: there every step is computed.
#[test]
fn a_null_stream_records_nothing() {
    if device().is_none() {
        return;
    }
    let on_null = Device::from_cudarc(&CudaContext::new(0).unwrap().default_stream()).unwrap();
    let drawn = [Device::open(None).unwrap(), on_null].map(|device| {
        let (mut model, mut sequences, mut replay) = (Model::new(&device), Sequences::new(2), Replay::default());
        let step = |length| {
            sequences.step(length, 0, &mut |numbers| {
                device.replay(&mut replay, numbers, &mut |there| model.step(&device, there)) //
            })
        };
        ((0..5).map(step).collect::<Vec<_>>(), model.calls)
    });
    let [(recorded, 2), (computed, 5)] = drawn else { panic!("{drawn:?}") };
    assert_eq!(recorded, computed);
}

/// What is recorded must not send anything: a replay would send what lies in the ring then.
#[test]
fn an_upload_within_a_recorded_step_is_refused() {
    let Some(device) = device() else { return };
    let (mut model, mut sequences, mut replay) = (Model::new(&device), Sequences::new(1), Replay::default());
    let mut refused = Vec::new();
    for length in 0..2 {
        sequences.step(length, 0, &mut |numbers| {
            let ran = device.replay(&mut replay, numbers, &mut |there| {
                device.upload(&[1.0], 1)?;
                model.step(&device, there)
            });
            if let Err(error) = &ran {
                refused.push(error.to_string());
            }
            ran.or(Ok((vec![7], vec![0.0])))
        });
    }
    assert_eq!(refused, ["an upload within a step that is being recorded"]);
    // The device is as good as before.
    assert_eq!(device.download(&device.upload(&[3.0], 1).unwrap()).unwrap(), [3.0]);
}

/// What another thread does meanwhile is neither recorded nor lost.
#[test]
fn other_threads_wait_while_a_step_is_recorded() {
    let Some(device) = device() else { return };
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 0;
            while !ended.load(std::sync::atomic::Ordering::Relaxed) || count < 10 {
                count += 1;
                let sum = device.upload(&[count as f32], 1).unwrap();
                let sum = device.add_scaled(sum, &device.upload(&[1.0], 1).unwrap(), 2.0).unwrap();
                assert_eq!(device.download(&sum).unwrap(), [count as f32 + 2.0]);
            }
        });
        let run = |place: &dyn Fn(u32) -> u64| {
            let (mut model, mut sequences, mut replay) = (Model::new(&device), Sequences::new(2), Replay::default());
            let step = |length| {
                sequences.step(length, place(length), &mut |numbers| {
                    device.replay(&mut replay, numbers, &mut |there| model.step(&device, there)) //
                })
            };
            (0..24).map(step).collect::<Vec<_>>()
        };
        // Recorded every third step; and never.
        let recorded = run(&|length| u64::from(length / 3));
        let computed = run(&|length| u64::from(length));
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(recorded, computed);
    });
}

/// Nor does it wait for ever where it plans attention over new spans, of which the recorded step has some too.
#[test]
fn other_threads_plan_while_a_step_is_recorded() {
    let Some(device) = device() else { return };
    let (ended, begun) = (std::sync::atomic::AtomicBool::new(false), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let own = Model::new(&device);
            let query = Matrix::random(8, 1, HEADS.query * HEADS.dimension).array(&device, Format::BF16);
            let [keys, values] = &own.cache;
            let mut outputs = Vec::new();
            begun.wait();
            while !ended.load(std::sync::atomic::Ordering::Relaxed) || outputs.len() < 10 {
                let planned: [Array; 16] = std::array::from_fn(|_| {
                    let spans = device.upload_indices(&[0, PREFIX, PREFIX, PREFIX + 9]).unwrap();
                    device.decode_attention(&query, keys, values, &spans, HEADS).unwrap()
                });
                outputs.push(device.download(&planned[15]).unwrap());
            }
            assert!(outputs.iter().all(|output| *output == outputs[0]));
        });
        let (mut model, mut sequences, mut replay) = (Model::new(&device), Sequences::new(2), Replay::default());
        begun.wait();
        for length in 0..60 {
            // Recorded every third step.
            sequences.step(length, u64::from(length / 3), &mut |numbers| {
                device.replay(&mut replay, numbers, &mut |there| model.step(&device, there)) //
            });
        }
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(model.calls, 40);
    });
}

/// Memory of graphs that are gone serves others.
#[test]
fn graphs_leave_their_memory() {
    let Some(_) = device() else { return };
    // A device of its own, so that other tests' arrays do not count.
    let device = Device::open(None).unwrap();
    let mut model = Model::new(&device);
    let mut run = |place| {
        let (mut sequences, mut replay) = (Sequences::new(2), Replay::default());
        for length in 0..4 {
            sequences.step(length, place, &mut |numbers| {
                device.replay(&mut replay, numbers, &mut |there| model.step(&device, there)) //
            });
        }
        device.allocated()
    };
    let first: Vec<usize> = (0..3).map(&mut run).collect();
    let later: Vec<usize> = (3..8).map(&mut run).collect();
    assert!(later.iter().all(|bytes| *bytes == first[2]), "{first:?}, then {later:?}");
}
