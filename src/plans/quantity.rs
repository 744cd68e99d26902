//! Amounts as the API server writes them.

use std::collections::BTreeMap;

/// Thousandths of what a quantity such as `10Gi`, `500m` or `1e3` counts; `None` for what is none.
#[must_use]
pub fn thousandths(text: &str) -> Option<u128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let factor: u128 = match unit {
        "m" => return number.parse().ok(),
        "" => 1000,
        "k" => 1_000_000,
        "Ki" => 1024 * 1000,
        _ => factor(unit)?,
    };
    let places = u32::try_from(part.len()).ok()?;
    let digits: u128 = format!("{whole}{part}").parse().ok()?;
    Some(digits.checked_mul(factor)?.div_ceil(10_u128.checked_pow(places)?))
}

/// What a longer unit counts, in thousandths: an exponent such as `e3`, or `Mi` and its siblings.
fn factor(unit: &str) -> Option<u128> {
    if let Some(exponent) = unit.strip_prefix(['e', 'E']).filter(|exponent| !exponent.is_empty()) {
        return 10_u128.checked_pow(exponent.parse().ok()?)?.checked_mul(1000);
    }
    let power = u32::try_from("MGTPE".find(unit.chars().next()?)?).ok()? + 2;
    match &unit[1..] {
        "" => Some(1000_u128.pow(power) * 1000),
        "i" => Some(1024_u128.pow(power) * 1000),
        _ => None,
    }
}

/// Everything of which a quota has less left than is asked for, in thousandths, with the figures.
#[must_use]
pub fn lacks(
    hard: &BTreeMap<String, String>,
    used: &BTreeMap<String, String>,
    asked: &BTreeMap<String, u128>,
) -> Vec<String> {
    let lack = |(what, asked): (&String, &u128)| {
        let (hard, used) = (hard.get(what)?, used.get(what).map_or("0", String::as_str));
        let left = thousandths(hard)?.saturating_sub(thousandths(used)?);
        let asked_text = told(what, *asked);
        (*asked > left)
            .then(|| format!("{what}: {asked_text} asked, {} left of {hard} ({used} used)", told(what, left)))
    };
    asked.iter().filter_map(lack).collect()
}

/// An amount as people write it.
fn told(what: &str, thousandths: u128) -> String {
    if what.contains("memory") || what.contains("storage") {
        let mebi = 1000_u128 << 20;
        return if thousandths.is_multiple_of(mebi) {
            format!("{}Mi", thousandths / mebi)
        } else {
            (thousandths / 1000).to_string()
        };
    }
    if thousandths.is_multiple_of(1000) { (thousandths / 1000).to_string() } else { format!("{thousandths}m") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_read_in_all_their_forms() {
        for (text, wanted) in [
            ("0", 0),
            ("3", 3000),
            ("500m", 500),
            ("0.5", 500),
            ("1.5Gi", 1_610_612_736_000),
            ("1e3", 1_000_000),
            ("10k", 10_000_000),
            ("1Ki", 1_024_000),
            ("2M", 2_000_000_000),
        ] {
            assert_eq!(thousandths(text), Some(wanted), "{text}");
        }
        for text in ["", "Gi", "x", "1x", "1Gib", "-1", "1.m", "1e", "1é"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_left_is_told_with_figures() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let hard = map(&[("pods", "5"), ("requests.memory", "2Gi"), ("requests.cpu", "1")]);
        let used = map(&[("pods", "4"), ("requests.memory", "1536Mi"), ("requests.cpu", "750m")]);
        let asked = [("pods", 2000), ("requests.memory", 1000 << 30), ("requests.cpu", 250), ("services", 9000)];
        let asked = asked.map(|(key, value)| (key.to_owned(), value)).into();
        let wanted =
            ["pods: 2 asked, 1 left of 5 (4 used)", "requests.memory: 1024Mi asked, 512Mi left of 2Gi (1536Mi used)"];
        assert_eq!(lacks(&hard, &used, &asked), wanted);
    }

    proptest! {
        #[test]
        fn a_larger_number_of_one_unit_is_more(a in 0..1000_u32, b in 0..1000_u32, unit in "|m|k|Ki|M|Mi|G|Gi|T|Ti") {
            let read = |number: u32| thousandths(&format!("{number}{unit}"));
            prop_assert_eq!(read(a).unwrap() < read(b).unwrap(), a < b);
        }

        #[test]
        fn whatever_it_is_it_is_read_or_not(text in ".{0,12}") {
            let _ = thousandths(&text);
        }
    }
}
