//! The nearest known name, for "did you mean".
//!
//! Pure arithmetic on short words; long ones are never compared, so that a hostile file costs
//! nothing.

/// Most candidates that are looked at: a hostile file may have as many wrong names as right ones.
const MAX_CANDIDATES: usize = 500;
/// Longest name that is compared, in characters: names of ours are far shorter.
const MAX_CHARS: usize = 64;

/// The candidate that `name` most likely meant, if one is near enough.
///
/// Case and underscores do not count: `one_for_one` means `OneForOne`.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = fold(name);
    if wanted.is_empty() || wanted.len() > MAX_CHARS {
        return None;
    }
    let allowed = 1 + wanted.len() / 4;
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter_map(|candidate| {
            let folded = fold(candidate);
            // A short prefix, such as `cap` of `capacity`, is near too.
            let prefix = wanted.len() >= 3 && folded.starts_with(&wanted);
            let cost = if prefix { 1 } else { distance(&wanted, &folded)? };
            (cost <= allowed).then_some((cost, candidate))
        })
        .min_by_key(|(cost, _)| *cost)
        .map(|(_, candidate)| candidate)
}

fn fold(name: &str) -> Vec<char> {
    name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).take(MAX_CHARS + 1).collect()
}

/// Levenshtein's distance; none when a word is too long to compare.
fn distance(a: &[char], b: &[char]) -> Option<usize> {
    if b.len() > MAX_CHARS {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let change = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant() {
        let names = ["OneForOne", "OneForAll", "RestForOne"];
        assert_eq!(nearest("one_for_one", names), Some("OneForOne"));
        assert_eq!(nearest("OneForAl", names), Some("OneForAll"));
        assert_eq!(nearest("Banana", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("intensty", ["intensity", "period"]), Some("intensity"));
        assert_eq!(nearest(&"x".repeat(10_000), names), None);
    }
}
