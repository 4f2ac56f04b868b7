//! Times of STAC items: RFC 3339 in UTC.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// The first satellite was launched: no picture from space is older.
const FIRST_SATELLITE: &str = "1957-10-04T00:00:00Z";
/// A whole day but its last second.
const DAY: i64 = 86_400;

/// When a scene was taken, where it is known. Times are RFC 3339 in UTC, as in
/// `2022-10-05T11:54:11Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dates {
    /// At this time.
    At(String),
    /// Within this time: a date without an hour, or both ends.
    Within(String, String),
    /// Not known, but after the first satellite and before the file was written.
    Unknown {
        /// When the scene's file was last written.
        written: String,
    },
}

impl Dates {
    /// Those of a scene: as its product or file states it (`stated`), where that is a
    /// time, else bounded by when the file at `path` was written.
    pub fn of(stated: Option<&str>, path: &Path) -> Self {
        if let Some(dates) = stated.and_then(|text| text.parse().ok()) {
            return dates;
        }
        let written = (std::fs::metadata(path).and_then(|file| file.modified()))
            .unwrap_or_else(|_| SystemTime::now());
        Self::Unknown {
            written: text(seconds(written)),
        }
    }

    /// First and last time; the same where it is known.
    pub fn range(&self) -> [&str; 2] {
        match self {
            Self::At(time) => [time, time],
            Self::Within(first, last) => [first, last],
            Self::Unknown { written } => [FIRST_SATELLITE, written],
        }
    }
}

/// A time with or without a zone (UTC), a date, a month or a
/// year, or two of these as `FIRST/LAST`.
impl FromStr for Dates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "expected a time as 2022-10-05T11:54:11Z, a date as 2022-10-05, or two of them \
                 as FIRST/LAST, not `{text}`"
            )
        };
        let (first, last) = match text.split_once('/') {
            Some((first, last)) => (moment(first), moment(last)),
            None => (moment(text), moment(text)),
        };
        let ((first, _), (_, last)) = first.zip(last).ok_or_else(wrong)?;
        if first.seconds > last.seconds {
            return Err(format!("`{text}` ends before it begins"));
        }
        Ok(match first.seconds == last.seconds {
            true => Self::At(first.to_string()),
            false => Self::Within(first.to_string(), last.to_string()),
        })
    }
}

/// The time now, or, for reproducible files, that of the variable `SOURCE_DATE_EPOCH`
/// (seconds since 1970).
pub fn created() -> String {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok();
    let epoch = epoch.and_then(|text| text.trim().parse::<i64>().ok());
    text(epoch.unwrap_or_else(|| seconds(SystemTime::now())))
}

/// Seconds since 1970, and the digits after the point as they were stated.
struct Moment {
    seconds: i64,
    fraction: String,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = text(self.seconds);
        match self.fraction.is_empty() {
            true => f.write_str(&whole),
            false => write!(f, "{}.{}Z", whole.trim_end_matches('Z'), self.fraction),
        }
    }
}

/// The first and the last moment of a time, a date, a month or a year.
fn moment(text: &str) -> Option<(Moment, Moment)> {
    let text = text.trim();
    let at = |seconds: i64| Moment {
        seconds,
        fraction: String::new(),
    };
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time.trim())),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let number = |text: &str, digits: usize| -> Option<i64> {
        let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    let year = number(parts.first()?, 4)?;
    let month = parts.get(1).map(|text| number(text, 2));
    let day = parts.get(2).map(|text| number(text, 2));
    if parts.len() > 3 {
        return None;
    }
    let Some(month) = month else {
        let none = time.is_none();
        return none.then(|| {
            (
                at(days(year, 1, 1) * DAY),
                at(days(year + 1, 1, 1) * DAY - 1),
            )
        });
    };
    let month = month.filter(|month| (1..=12).contains(month))?;
    let next = match month {
        12 => days(year + 1, 1, 1),
        _ => days(year, month + 1, 1),
    };
    let start = days(year, month, 1);
    let Some(day) = day else {
        let none = time.is_none();
        return none.then(|| (at(start * DAY), at(next * DAY - 1)));
    };
    let day = day.filter(|day| (1..=next - start).contains(day))?;
    let midnight = (start + day - 1) * DAY;
    let Some(time) = time else {
        return Some((at(midnight), at(midnight + DAY - 1)));
    };
    let (clock, zone) = match time.find(['Z', 'z', '+', '-']) {
        Some(end) => time.split_at(end),
        None => (time, "Z"),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<i64> = (clock.split(':'))
        .map(|text| number(text, 2))
        .collect::<Option<_>>()?;
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let valid = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    let digits = fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit());
    let zone = match zone {
        "Z" | "z" => 0,
        _ => {
            let (sign, clock) = zone.split_at(1);
            let clock: String = clock.chars().filter(|c| *c != ':').collect();
            let clock = number(&clock, 4)?;
            let seconds = (clock / 100) * 3600 + (clock % 100) * 60;
            if sign == "-" { -seconds } else { seconds }
        }
    };
    let seconds = midnight + hour * 3600 + minute * 60 + second.min(59) - zone;
    let both = || Moment {
        seconds,
        fraction: fraction.trim_end_matches('0').to_owned(),
    };
    (valid && digits).then(|| (both(), both()))
}

fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        Err(before) => -(before.duration().as_secs() as i64),
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Hinnant, "chrono-compatible
/// low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Seconds since 1970 as RFC 3339; years 0 to 9999.
fn text(seconds: i64) -> String {
    let (number, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let shifted = number + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!(
        "{:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        year.clamp(0, 9999),
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> String {
        match text.parse().unwrap() {
            Dates::At(time) => time,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn times_are_brought_to_utc() {
        assert_eq!(at("2022-10-05T11:54:11.024Z"), "2022-10-05T11:54:11.024Z");
        assert_eq!(at("2022-10-05 11:54"), "2022-10-05T11:54:00Z");
        assert_eq!(at("2020-02-29T23:30:00-01:30"), "2020-03-01T01:00:00Z");
        assert_eq!(at("2000-01-01T00:00:00+0100"), "1999-12-31T23:00:00Z");
        assert_eq!(at("1969-12-31T23:59:59Z"), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn dates_are_spans() {
        let range = |text: &str| {
            let dates: Dates = text.parse().unwrap();
            assert!(matches!(dates, Dates::Within(..)), "{text}");
            dates.range().map(str::to_owned)
        };
        let day = ["2022-10-05T00:00:00Z", "2022-10-05T23:59:59Z"];
        assert_eq!(range("2022-10-05"), day);
        assert_eq!(range("2022-10-05/2022-10-05"), day);
        let month = ["2023-12-01T00:00:00Z", "2023-12-31T23:59:59Z"];
        assert_eq!(range("2023-12"), month);
        assert_eq!(range("2024")[1], "2024-12-31T23:59:59Z");
        assert_eq!(
            range("2024-02-01T10:00Z/2024-02"),
            ["2024-02-01T10:00:00Z", "2024-02-29T23:59:59Z"]
        );
    }

    #[test]
    fn invalid_times_are_refused() {
        for text in [
            "",
            "yesterday",
            "2022-13-01",
            "2023-02-29",
            "2022-10-05T25:00:00Z",
            "22-10-05",
            "2022-10-05T11:54:11.x",
            "2022-10-05T11",
            "2022-10-06/2022-10-05",
            "2022T10:00",
            "2022-10-05T11:54:11+é",
        ] {
            let error = text.parse::<Dates>().unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn an_unknown_date_is_bounded_by_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "").unwrap();
        let dates = Dates::of(Some("soon"), &path);
        let [first, last] = dates.range();
        assert_eq!(first, FIRST_SATELLITE);
        assert!(last > "2024" && matches!(dates, Dates::Unknown { .. }));
        assert_eq!(
            Dates::of(Some("2024-02-29"), &path).range()[0],
            "2024-02-29T00:00:00Z"
        );
    }
}
