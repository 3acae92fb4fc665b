//! `--max`: how many images of a repository may go.

use std::str::FromStr;

use super::simulation::Simulation;
use crate::lifecycle::Action;

/// A number of images, or a share of them in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Images(usize),
    Percent(usize),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is neither a number of images nor a share such as 20%");
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent = percent.parse().ok().filter(|percent| *percent <= 100);
                percent.map(Self::Percent).ok_or_else(wrong)
            }
            None => text.parse().map(Self::Images).map_err(|_| wrong()),
        }
    }
}

impl Limit {
    /// Message where more would expire.
    pub(super) fn exceeded(self, simulation: &Simulation) -> Option<String> {
        let images = simulation.images.len();
        let expired = simulation.count(Action::Expire);
        let (exceeds, limit) = match self {
            Self::Images(most) => (expired > most, format!("--max {most}")),
            Self::Percent(most) => (expired * 100 > images * most, format!("--max {most}%")),
        };
        exceeds.then(|| format!("{expired} of {images} images would expire, which is over {limit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Limit;

    #[test]
    fn limits_are_numbers_or_shares() {
        assert_eq!("10".parse(), Ok(Limit::Images(10)));
        assert_eq!("20%".parse(), Ok(Limit::Percent(20)));
        for wrong in ["", "-1", "101%", "1.5%", "%", "many"] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
    }
}
