//! A date of HTTP: `Wed, 21 Oct 2026 07:28:00 GMT` (RFC 9110 §5.6.7).

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The moment, or `None` for what is no such date or lies before 1970; the day of the week is not looked at.
pub(super) fn http_date(text: &str) -> Option<SystemTime> {
    let (_, rest) = text.trim().split_once(", ")?;
    let [day, month, year, time, "GMT"] = rest.split(' ').collect::<Vec<_>>()[..] else { return None };
    let number = |text: &str, range: std::ops::RangeInclusive<u64>| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|number| digits && range.contains(number))
    };
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let (day, year) = (number(day, 1..=31)?, number(year, 1970..=9999)?);
    let [hours, minutes, seconds] = time.split(':').collect::<Vec<_>>()[..] else { return None };
    let (hours, minutes, seconds) = (number(hours, 0..=23)?, number(minutes, 0..=59)?, number(seconds, 0..=60)?);
    // Years that begin in March end with their leap day, so a month's first day is linear in its number but for
    // rounding.
    let (years, months) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 1;
    // Days from 1 March of year 0 to 1 January 1970.
    let days = days.checked_sub(719_468)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(86_400 * days + 3600 * hours + 60 * minutes + seconds))
}

#[cfg(test)]
mod tests {
    use super::http_date;
    use std::time::{Duration, SystemTime};

    #[test]
    fn dates_are_the_moments_that_gnu_date_gives() {
        for (date, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Wed, 21 Oct 2026 07:28:00 GMT", 1_792_567_680),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ] {
            assert_eq!(http_date(date), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), "{date}");
        }
        for none in ["", "Wed, 21 Oct 2026 07:28:00", "Wed, 21 Okt 2026 07:28:00 GMT", "Wed, 0 Oct 2026 07:28:00 GMT"] {
            assert_eq!(http_date(none), None, "{none}");
        }
        assert_eq!(http_date("Wed, 21 Oct 2026 07:28 GMT"), None);
        assert_eq!(http_date("Wed, 21 Oct +026 07:28:00 GMT"), None);
    }
}
