//! Any text as a name: no panic, and what has a meaning keeps it when printed and read again.

use hps_core::{GammaSchedule, Loss};

pub fn run(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(loss) = text.parse::<Loss>() {
        assert_eq!(loss.to_string(), text);
        assert_eq!(loss.to_string().parse(), Ok(loss));
    }
    if let Ok(schedule) = text.parse::<GammaSchedule>() {
        assert_eq!(schedule.to_string().parse(), Ok(schedule), "{text}");
    }
}
