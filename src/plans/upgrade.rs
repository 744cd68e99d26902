//! Whether the servers of a running cluster may become those of another image, one node after the other.

use std::collections::BTreeMap;
use std::fmt;

use crate::names::Member;

/// Series for long use, of which a rolling upgrade may not leave out one. The first is the oldest with Galera 4.
const LONG: [(u16, u16); 7] = [(10, 4), (10, 5), (10, 6), (10, 11), (11, 4), (11, 8), (12, 3)];

/// A version of `MariaDB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The series, such as 11 and 8.
    pub series: (u16, u16),
    /// The release in it.
    pub release: u16,
}

impl Version {
    /// Reads what a server says of itself, such as `11.8.6-MariaDB-log`; `None` for anything that does not begin with
    /// three numbers.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut number = |last: bool| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number: u16 = rest[..digits].parse().ok()?;
            let tail = &rest[digits..];
            rest = if last { tail } else { tail.strip_prefix('.')? };
            Some(number)
        };
        let (major, minor, release) = (number(false)?, number(false)?, number(true)?);
        (!rest.starts_with('.')).then_some(Self { series: (major, minor), release })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.series.0, self.series.1, self.release)
    }
}

/// A version of the Galera provider, without the number of the interface that some builds put in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Provider(u16, u16);

impl Provider {
    /// Reads `26.4.16(r7dce5149)` or `4.23(rXXXX)`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u16>> = text.split('(').next()?.split('.').map(|part| part.parse().ok()).collect();
        match numbers?.as_slice() {
            [major, minor] | [_, major, minor] => Some(Self(*major, *minor)),
            _ => None,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What a server, or an image, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Software {
    /// Of the server.
    pub server: Version,
    /// Of its Galera provider; `None` where it does not say it in a way that can be read.
    pub provider: Option<Provider>,
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.provider {
            Some(provider) => write!(f, "MariaDB {} with Galera {provider}", self.server),
            None => write!(f, "MariaDB {}", self.server),
        }
    }
}

/// How far the way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The servers have this version already.
    Same,
    /// Another release of the same series.
    Release(Version),
    /// Another series, from this version.
    Series(Version),
}

/// A way that is not gone, why, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barred {
    /// A sentence.
    pub why: String,
    /// What to do.
    pub hint: String,
}

fn barred<T>(why: String, hint: impl Into<String>) -> Result<T, Barred> {
    Err(Barred { why, hint: hint.into() })
}

/// The way from what runs to `target`. Data files that a newer server has opened are not opened by an older one, and
/// servers of two series understand each other only where no long one lies between them.
///
/// # Errors
/// It leads down, leaves a series out, or cannot be judged.
pub fn way(running: &BTreeMap<Member, Software>, target: Software) -> Result<Way, Barred> {
    let by_version = |(_, software): &(&Member, &Software)| software.server;
    let (Some((_, lowest)), Some((newest, highest))) =
        (running.iter().min_by_key(by_version), running.iter().max_by_key(by_version))
    else {
        return barred("no server says which version it has".to_owned(), "see what is wrong: galeractl verify");
    };
    let (from, to) = (lowest.server, target.server);
    if to < highest.server {
        return barred(
            format!("{newest} runs MariaDB {}, and the image has {to}: there is no way down", highest.server),
            "an older version opens none of the newer one's data; what brings it back is a backup that it took",
        );
    }
    let older = running.iter().find_map(|(node, software)| {
        let (has, gets) = (software.provider?, target.provider?);
        (gets < has).then_some((node, has, gets))
    });
    if let Some((node, has, gets)) = older {
        return barred(
            format!("{node} runs Galera {has}, and the image has {gets}: a group does not go down"),
            "name an image with a provider that is at least as new",
        );
    }
    if from.series == to.series {
        return Ok(if from == to { Way::Same } else { Way::Release(from) });
    }
    let (first, last) = (LONG[0], LONG[LONG.len() - 1]);
    let named = |(major, minor): (u16, u16)| format!("{major}.{minor}");
    if from.series < first || to.series > last {
        return barred(
            format!(
                "the way from MariaDB {from} to {to} cannot be judged: known are the series {} to {}",
                named(first),
                named(last)
            ),
            "look for a newer galeractl",
        );
    }
    match LONG.iter().find(|long| from.series < **long && **long < to.series) {
        Some(left_out) => barred(
            format!(
                "from MariaDB {from} to {to} is too far for servers that run beside each other: series {} lies between",
                named(*left_out)
            ),
            format!("take one step first: an image of MariaDB {}", named(*left_out)),
        ),
        None => Ok(Way::Series(from)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        Version::read(text).unwrap()
    }

    fn software(text: &str) -> Software {
        Software { server: version(text), provider: None }
    }

    fn running(versions: &[&str]) -> BTreeMap<Member, Software> {
        (1..).map(Member::Node).zip(versions.iter().map(|text| software(text))).collect()
    }

    fn why(from: &[&str], to: &str) -> String {
        let Barred { why, hint } = way(&running(from), software(to)).unwrap_err();
        format!("{why} | {hint}")
    }

    #[test]
    fn versions_are_three_numbers_and_nothing_that_looks_like_more() {
        for text in ["11.8.6", "11.8.6-MariaDB-0+deb13u1 from Debian", "11.8.6-11-MariaDB-enterprise"] {
            assert_eq!(version(text).to_string(), "11.8.6", "{text}");
        }
        for text in ["", "11.8", "11.8.", "11.8.x", "mariadb 11.8.6", "11.8.6.1", "-11.8.6", "11.8.99999999", "11..6"] {
            assert_eq!(Version::read(text), None, "{text}");
        }
    }

    #[test]
    fn providers_are_told_with_and_without_their_interface() {
        assert_eq!(Provider::read("26.4.23(r06a0c285)"), Provider::read("4.23(rXXXX)"));
        assert!(Provider::read("4.9(r1)") < Provider::read("26.4.23(r1)"));
        for text in ["", "4", "(r4.23)", "a.b(r1)", "1.26.4.23"] {
            assert_eq!(Provider::read(text), None, "{text}");
        }
    }

    #[test]
    fn releases_and_the_next_series_can_be_reached() {
        let three = ["11.4.5", "11.4.5", "11.4.5"];
        assert_eq!(way(&running(&three), software("11.4.5")), Ok(Way::Same));
        assert_eq!(way(&running(&three), software("11.4.9")), Ok(Way::Release(version("11.4.5"))));
        assert_eq!(way(&running(&three), software("11.8.2")), Ok(Way::Series(version("11.4.5"))));
        assert_eq!(way(&running(&["10.6.9"]), software("10.9.1")), Ok(Way::Series(version("10.6.9"))));
        // One that was broken off goes on from the slowest.
        assert_eq!(way(&running(&["11.4.5", "11.8.2"]), software("11.8.2")), Ok(Way::Series(version("11.4.5"))));
    }

    #[test]
    fn down_too_far_and_unknown_are_refused_with_the_next_step() {
        assert!(
            why(&["11.8.2", "11.8.3"], "11.8.2").starts_with("node2 runs MariaDB 11.8.3, and the image has 11.8.2")
        );
        assert!(why(&["10.11.9"], "11.8.2").ends_with("take one step first: an image of MariaDB 11.4"));
        assert!(why(&["10.11.9", "11.4.2"], "11.8.2").ends_with("an image of MariaDB 11.4"));
        assert!(why(&["12.3.1"], "13.0.1").contains("cannot be judged"));
        assert!(why(&["10.3.9"], "10.4.1").contains("cannot be judged"));
        assert!(why(&[], "11.8.2").starts_with("no server says"));
    }

    #[test]
    fn an_older_provider_is_a_way_down_as_well() {
        let with = |provider: &str| Software { provider: Provider::read(provider), ..software("11.8.2") };
        let running = BTreeMap::from([(Member::Node(1), with("26.4.20(r1)")), (Member::Node(2), with("?"))]);
        assert!(way(&running, with("26.4.19(r1)")).unwrap_err().why.contains("node1 runs Galera 4.20"));
        assert_eq!(way(&running, with("26.4.21(r1)")), Ok(Way::Same));
        assert_eq!(way(&running, with("")), Ok(Way::Same));
    }

    fn some_version() -> impl Strategy<Value = Version> {
        (9..14_u16, 0..13_u16, 0..4_u16).prop_map(|(major, minor, release)| Version { series: (major, minor), release })
    }

    proptest! {
        /// Whatever runs and whatever the image has: no server becomes older, none leaves out a long series, and nothing is
        /// called the same that is not.
        #[test]
        fn no_way_leads_down_or_too_far(
            running in prop::collection::vec(some_version(), 1..6), to in some_version(),
        ) {
            let all: BTreeMap<Member, Software> = (1..).map(Member::Node).zip(running.iter().map(|server| {
                Software { server: *server, provider: None }
            })).collect();
            let answer = way(&all, Software { server: to, provider: None });
            if let Ok(way) = &answer {
                for from in &running {
                    prop_assert!(*from <= to);
                    let left_out = LONG.iter().filter(|long| from.series < **long && **long < to.series).count();
                    prop_assert_eq!(left_out, 0);
                }
                prop_assert_eq!(*way == Way::Same, running.iter().all(|from| *from == to));
                prop_assert_eq!(matches!(way, Way::Series(_)), running.iter().any(|from| from.series != to.series));
            }
            // Within a series, up is always possible.
            let fits = |from: &Version| from.series == to.series && *from <= to;
            prop_assert!(answer.is_ok() || !running.iter().all(fits));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            let _ = (Version::read(&text), Provider::read(&text));
        }
    }
}
