//! Which negatives a seed draws, on the device: the same as `hps_core::NegativeSampler`, for `[prompts, responses]`.

use crate::device::Device;
use crate::device::array::Indices;
use crate::device::kernel::Source;
use crate::device::launch::{Argument, Grid};
use crate::device::memory::Storage;
use crate::error::{Error, ErrorKind, Result, agree};
use cudarc::driver::{DevicePtr, DevicePtrMut};
use hps_core::{NegativeSampler, Position, Scalar, TiePolicy};

pub(crate) static SOURCE: Source = Source {
    name: "preference/sampler.cu",
    text: include_str!("../../kernels/preference/sampler.cu"),
    variants: &[&[]],
};

/// Threads of a block, and of the largest team.
const BLOCK: u32 = 256;

/// Responses, or draws, of a thread at most, until a team is a block.
const EACH: usize = 16;

/// What negatives are drawn from: one integer a response ([`NegativeSampler::exponents`]), on the device.
///
/// ```
/// use hps_core::{NegativeSampler, Position, TiePolicy};
/// use hps_cuda::{Device, NegativeDraws};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let Ok(device) = Device::open(None) else { return Ok(()) }; // no GPU here
/// let rewards = [2.0, 1.5, -0.5, -3.0, 1.0, 0.0, 0.0, 0.0];
/// let draws = NegativeDraws::new(&device, 4, &rewards, 0.5, TiePolicy::Keep)?;
/// let drawn = draws.draw(7, &[3, 4], Position::default(), 6)?.download()?;
/// let mut first = [0; 6];
/// let position = Position { row: 3, epoch: 0, draw: 0 };
/// NegativeSampler::new(7).draw_many(&rewards[..4], 0.5, TiePolicy::Keep, position, &mut first)?;
/// assert_eq!(drawn[..6], first);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NegativeDraws {
    device: Device,
    prompts: usize,
    responses: usize,
    exponents: Storage,
    half_powers: Storage,
}

/// Drawn indices on the device, `[prompts, draws]`, each of a response in its own row.
#[derive(Debug)]
pub struct DrawnNegatives {
    indices: Indices,
}

impl NegativeDraws {
    /// Forms the exponents, in f64 on the host, and copies them to the device.
    ///
    /// * `responses`: of each prompt.
    /// * `rewards`: `[prompts, responses]`, best first.
    /// * `gamma`, `ties`: as for [`NegativeSampler::draw`].
    ///
    /// # Errors
    /// [`ErrorKind::Preference`] for what the sampler refuses; [`ErrorKind::Shape`] for rewards that are no rows; the
    /// device has no memory left, or failed.
    pub fn new<F: Scalar>(
        device: &Device,
        responses: usize,
        rewards: &[F],
        gamma: f64,
        ties: TiePolicy,
    ) -> Result<NegativeDraws> {
        let prompts = rewards.len().checked_div(responses).unwrap_or(0);
        agree("negative draws", "the number of rewards", prompts * responses, rewards.len())?;
        let mut exponents: Vec<u32> = vec![0; rewards.len()];
        for (out, rewards) in exponents.chunks_mut(responses.max(1)).zip(rewards.chunks(responses.max(1))) {
            NegativeSampler::exponents(rewards, gamma, ties, out)?;
        }
        let exponents = device.uploaded(bytemuck::cast_slice(&exponents))?;
        let half_powers = device.uploaded(bytemuck::cast_slice(&NegativeSampler::HALF_POWERS))?;
        Ok(NegativeDraws { device: device.clone(), prompts, responses, exponents, half_powers })
    }

    /// Draws `draws` negatives for every prompt, independently, at `first.draw`, `first.draw + 1`, …
    ///
    /// * `rows`: the prompts' line numbers in their input; `first.row` is not read.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for another number of rows, or for more draws than are counted; the device has no memory
    /// left, or failed.
    pub fn draw(&self, seed: u64, rows: &[u32], first: Position, draws: usize) -> Result<DrawnNegatives> {
        agree("negative draws", "the number of rows", self.prompts, rows.len())?;
        self.check(first, draws)?;
        let rows = self.device.uploaded(bytemuck::cast_slice(rows))?;
        let length = self.prompts * draws;
        let drawn = self.device.storage(4 * length)?;
        self.launch(seed, rows.address(), first, draws, drawn.address())?;
        Ok(DrawnNegatives { indices: Indices::of_device(drawn, length) })
    }

    /// As [`draw`](Self::draw), from and into the caller's own buffers, on the device's stream, without a copy.
    ///
    /// * `rows`: one a prompt.
    /// * `drawn`: takes `[prompts, draws]`; how many draws there are, its length says.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for lengths that do not fit, or buffers on another device; the device failed.
    pub fn draw_on<R, D>(&self, seed: u64, rows: &R, first: Position, drawn: &mut D) -> Result<()>
    where
        R: DevicePtr<u32>,
        D: DevicePtrMut<u32>,
    {
        let draws = drawn.len().checked_div(self.prompts).unwrap_or(0);
        agree("negative draws", "the number of rows", self.prompts, rows.len())?;
        agree("negative draws", "the length of `drawn`", self.prompts * draws, drawn.len())?;
        let stream = self.device.stream();
        for (what, other) in [("rows", rows.stream()), ("drawn", drawn.stream())] {
            let [own, other] = [stream, other].map(|stream| stream.context().ordinal());
            agree("negative draws", &format!("the device of `{what}`"), own, other)?;
        }
        self.check(first, draws)?;
        let (rows, _read) = rows.device_ptr(stream);
        let (drawn, _written) = drawn.device_ptr_mut(stream);
        self.launch(seed, rows, first, draws, drawn)
    }

    /// Refuses draws that the counter does not have.
    fn check(&self, first: Position, draws: usize) -> Result<()> {
        let last = u32::try_from(draws).ok().map(|draws| draws.saturating_sub(1));
        if last.and_then(|last| first.draw.checked_add(last)).is_some() && self.prompts < 1 << 31 {
            return Ok(());
        }
        let message = format!("{draws} draws from draw {} for {} prompts", first.draw, self.prompts);
        Err(Error::new(ErrorKind::Shape, format!("{message} are more than a kernel counts")))
    }

    fn launch(&self, seed: u64, rows: u64, first: Position, draws: usize, drawn: u64) -> Result<()> {
        if draws == 0 {
            return Ok(());
        }
        // Whoever of a team draws makes no difference.
        let team = self.responses.max(draws).div_ceil(EACH).next_power_of_two().min(BLOCK as usize);
        let blocks = self.prompts.div_ceil(BLOCK as usize / team);
        let arguments = [
            (&self.half_powers).into(),
            (&self.exponents).into(),
            Argument::Address(rows),
            Argument::Address(drawn),
            seed.into(),
            first.epoch.into(),
            first.draw.into(),
            draws.into(),
            self.prompts.into(),
            self.responses.into(),
            team.into(),
        ];
        self.device.launch(SOURCE.kernel("draw"), &[], Grid::blocks(blocks, BLOCK), &arguments)
    }
}

impl DrawnNegatives {
    /// Where they lie on the device, `[prompts, draws]`, u32.
    pub fn address(&self) -> u64 {
        self.indices.address()
    }

    /// Copies them to the host, as [`hps_core::Batch::with_samples`] takes them; waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn download(&self) -> Result<Vec<usize>> {
        Ok(self.indices.host()?.iter().map(|&index| index as usize).collect())
    }
}
