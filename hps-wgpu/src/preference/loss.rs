//! Loss and gradient of a batch: `(log π, log π_ref, l, r) -> L` and `∂L/∂log π_i` of every prompt, in nats.

use crate::device::Device;
use crate::device::array::{Array, Indices};
use crate::device::launch::{grid, parts, windows};
use crate::error::{Error, ErrorKind, Result, agree};
use crate::preference::family::{Family, constants};
use crate::preference::team::Team;
use hps_core::{Batch, KernelRows, Loss, LossDescriptor, Scalar};
use std::ops::Range;

/// Numbers of a buffer that a kernel counts.
const MOST: usize = 1 << 31;

/// A loss over a batch whose constant lists lie on the device: everything but the policy's log-probabilities.
///
/// ```
/// use hps_core::{Batch, Loss};
/// use hps_wgpu::{Device, PreferenceLoss};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let Ok(device) = Device::open(None) else { return Ok(()) }; // no adapter here
/// let loss: Loss = "dpo-hps-full".parse()?;
/// let reference = [-9.0_f32; 6];
/// // The batch's own policy is not read here; the device's is.
/// let batch = Batch::new(3, &reference)?.with_reference(&reference)?.with_lengths(&[4; 6])?.with_rewards(&[1.0, 0.5, 0.0, 2.0, 1.0, -1.0])?;
/// let on_device = PreferenceLoss::new(&device, &loss, &batch)?;
/// let policy = device.upload(&[-9.0; 6], 3)?;
/// let computed = on_device.of_policy(&policy)?;
/// let (values, gradient) = (device.download(&computed.values)?, device.download(&computed.gradient)?);
/// assert!((values[1] - 3.0_f32.ln()).abs() < 1e-6 && (gradient[3] + 0.1 * 2.0 / 3.0).abs() < 1e-7);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PreferenceLoss {
    device: Device,
    descriptor: LossDescriptor,
    family: Family,
    team: Team,
    prompts: usize,
    responses: usize,
    /// None where the reward reads no reference.
    reference: Option<Array>,
    /// Lengths or factors, where the reward reads them.
    measures: Option<Array>,
    /// Where the loss reads them.
    rewards: Option<Array>,
    /// See [`words`].
    words: Indices,
    samples: usize,
}

/// What a loss makes of a batch.
#[derive(Debug)]
pub struct PreferenceGradient {
    /// `L`, `[prompts, 1]`. NaN where the row has a number that is not finite, in or out.
    pub values: Array,
    /// `∂L/∂log π_i`, `[prompts, responses]`, of each prompt's own loss; NaN where its value is.
    pub gradient: Array,
}

impl PreferenceLoss {
    /// Checks the batch as hps-core does, rounded to f32, and copies its constant lists to the device.
    ///
    /// * `batch`: its policy is not read. A program whose log-probabilities lie on the device may pass the reference's.
    ///
    /// Refuses with [`ErrorKind::Preference`] what [`Loss::check`] refuses.
    pub fn new<F: Scalar>(device: &Device, loss: &Loss, batch: &Batch<'_, F>) -> Result<PreferenceLoss> {
        PreferenceLoss::of_rows(device, loss.descriptor()?, batch, &checked(loss, batch)?)
    }

    fn of_rows<F: Scalar>(
        device: &Device,
        descriptor: LossDescriptor,
        batch: &Batch<'_, F>,
        rows: &KernelRows<'_, F>,
    ) -> Result<PreferenceLoss> {
        let (prompts, responses) = (batch.prompts(), batch.responses());
        let family = Family::of(&descriptor).ok_or_else(|| {
            let (pair, preference) = (descriptor.pair, descriptor.preference);
            Error::new(ErrorKind::Shape, format!("no kernel for preference {preference} of pair {pair}"))
        })?;
        let words = words(rows, prompts);
        if prompts * responses * family.scratch.max(1) >= MOST || words.len() >= MOST {
            let message = format!("{prompts} x {responses} responses are more than a kernel counts");
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let list = |numbers: Vec<f32>| -> Result<Option<Array>> {
            (!numbers.is_empty()).then(|| device.upload(&numbers, responses)).transpose()
        };
        Ok(PreferenceLoss {
            device: device.clone(),
            descriptor,
            family,
            team: family.team(responses),
            prompts,
            responses,
            reference: list(rows.reference().collect())?,
            measures: list(rows.measures().collect())?,
            rewards: list(rows.rewards().collect())?,
            words: device.upload_indices(&words)?,
            samples: rows.sample_count(),
        })
    }

    /// Lets `threads` compute a prompt, a power of two up to 256, in place of what the number of responses suggests.
    pub fn with_team(self, threads: u32) -> Result<PreferenceLoss> {
        let team = Team::exactly(threads).ok_or_else(|| {
            let message = format!("a team of {threads} threads is no power of two up to {}", Team::LARGEST);
            Error::new(ErrorKind::Shape, message)
        })?;
        Ok(PreferenceLoss { team, ..self })
    }

    /// Loss and gradient from log-probabilities on the device; `log π − log π_ref` is subtracted there, in f32.
    ///
    /// Near −2000 nats an f32 is good to 1.2e-4, and so is their difference, whoever subtracts; see
    /// [`of_ratios`](Self::of_ratios).
    ///
    /// * `policy`: `[prompts, responses]`.
    pub fn of_policy(&self, policy: &Array) -> Result<PreferenceGradient> {
        self.run(policy, self.reference.as_ref().unwrap_or(policy), false)
    }

    /// Loss and gradient where `h = log π − log π_ref` was subtracted in f64, or summed over tokens from differences, so
    /// that it has all its digits.
    ///
    /// * `policy`: `[prompts, responses]`; read by rewards without a reference and by the likelihood.
    /// * `ratios`: `h`, `[prompts, responses]`; read by the other rewards.
    pub fn of_ratios(&self, policy: &Array, ratios: &Array) -> Result<PreferenceGradient> {
        let origins = if self.reference.is_some() { ratios } else { policy };
        self.run(policy, origins, true)
    }

    /// Loss and gradient of a batch that lies on the host, `([prompts], [prompts, responses])`, as
    /// [`Loss::values_and_gradients`]; `log π − log π_ref` is subtracted in `F`.
    ///
    /// Refuses a row with a number that is not finite, in or out, and names its prompt.
    pub fn values_and_gradients<F: Scalar>(
        device: &Device,
        loss: &Loss,
        batch: &Batch<'_, F>,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let (descriptor, rows) = (loss.descriptor()?, checked(loss, batch)?);
        let on_device = PreferenceLoss::of_rows(device, descriptor, batch, &rows)?;
        let uploaded = |numbers: Vec<f32>| device.upload(&numbers, batch.responses());
        let policy = uploaded(rows.policy().collect())?;
        let computed = if loss.reads_reference() {
            on_device.of_ratios(&policy, &uploaded(rows.ratios().collect())?)?
        } else {
            on_device.of_policy(&policy)?
        };
        let values = device.download(&computed.values)?;
        if let Some(prompt) = values.iter().position(|value| value.is_nan()) {
            let message =
                format!("prompt {prompt}: a log-probability, a score, the loss or its gradient is not finite");
            return Err(Error::new(ErrorKind::Preference(hps_core::ErrorKind::NonFinite), message));
        }
        Ok((values, device.download(&computed.gradient)?))
    }

    fn run(&self, policy: &Array, origins: &Array, ratios: bool) -> Result<PreferenceGradient> {
        for (what, array) in [("policy", policy), ("ratios", origins)] {
            agree("preference loss", &format!("rows of {what}"), self.prompts, array.rows())?;
            agree("preference loss", &format!("columns of {what}"), self.responses, array.columns())?;
        }
        let (device, responses) = (&self.device, self.responses);
        device.expect_iterations("a loss", self.family.iterations(self.team, responses, self.samples))?;
        let values = device.undefined(self.prompts, 1)?;
        let gradient = device.undefined(self.prompts, responses)?;
        let scratch = device.undefined(self.prompts, responses * self.family.scratch)?;
        // Kernels bind every list, and read of these what the loss reads.
        let [measures, rewards] = [&self.measures, &self.rewards].map(|list| list.as_ref().unwrap_or(policy));
        let words = 3 + self.samples;
        let widest = responses * self.family.scratch.max(1);
        let work = self.family.work(responses);
        for rows in windows(device, self.prompts, 4 * widest.max(words) as u64, 0)? {
            let bindings = [
                policy.window(&rows),
                origins.window(&rows),
                measures.window(&rows),
                rewards.window(&rows),
                self.words.numbers(&(rows.start * words..rows.end * words)),
                scratch.window(&rows),
                values.window(&rows),
                gradient.window(&rows),
            ];
            for prompts in parts(0..rows.len(), (device.work_limit() / work).max(1) as usize) {
                let groups = grid(self.team.groups(prompts.len()));
                let parameters = self.parameters(&prompts, ratios);
                let work = work * prompts.len() as u64;
                device.run(&self.family.kernel, &self.constants(), &parameters, &bindings, groups, work)?;
            }
        }
        Ok(PreferenceGradient { values, gradient })
    }

    /// What the kernel is specialised by.
    fn constants(&self) -> Vec<(&'static str, u32)> {
        let LossDescriptor { reward, pair, .. } = self.descriptor;
        constants(self.team, pair, u32::from(reward == 6))
    }

    /// The kernel's `Batch`.
    fn parameters(&self, prompts: &Range<usize>, ratios: bool) -> Vec<u32> {
        let [first, end, responses, samples] =
            [prompts.start, prompts.end, self.responses, self.samples].map(|number| number as u32);
        let words = [first, end, responses, samples, u32::from(ratios), 0, 0, 0];
        [bytemuck::cast_slice(bytemuck::bytes_of(&self.descriptor)), words.as_slice()].concat()
    }
}

fn checked<'a, F: Scalar>(loss: &Loss, batch: &Batch<'a, F>) -> Result<KernelRows<'a, F>> {
    Ok(loss.kernel_rows(batch, &mut vec![0.0; Loss::scratch_len(batch.responses())])?)
}

/// Of each prompt: `N` that its samples were drawn from or 0, `log π_sft` and `l_1` as bits or 0, then its samples.
fn words<F: Scalar>(rows: &KernelRows<'_, F>, prompts: usize) -> Vec<u32> {
    let (mut drawn_from, mut samples) = (rows.drawn_from(), rows.samples());
    let (mut supervised, mut lengths) = (rows.supervised(), rows.preferred_lengths());
    let mut words = Vec::with_capacity(prompts * (3 + rows.sample_count()));
    for _ in 0..prompts {
        words.push(drawn_from.next().unwrap_or(0));
        words.extend([supervised.next(), lengths.next()].map(|number| number.unwrap_or(0.0).to_bits()));
        words.extend(samples.by_ref().take(rows.sample_count()));
    }
    words
}
