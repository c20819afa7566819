//! Cuts a text into passages: whole sections, paragraphs or at least sentences, each of bounded
//! size.
//!
//! Nothing is lost, added or moved: the passages in order are the text, byte for byte. Where a cut
//! falls depends on the text alone, not on the pieces in which it arrives.

/// A passage is at most this many bytes: a few paragraphs, so that a handful fit a model's context
/// and a quote from one is easy to find.
pub const PASSAGE_MAX_BYTES: usize = 2_000;

/// A nicer place to cut is not taken before this many bytes, so that a heading stays with what it
/// heads.
const PASSAGE_MIN_BYTES: usize = PASSAGE_MAX_BYTES / 4;

const _: () = assert!(PASSAGE_MIN_BYTES > 4, "a cut must always move on by a whole character");

/// Takes a text piece by piece and gives passages.
#[derive(Default)]
pub struct Cutter {
    rest: String,
}

impl Cutter {
    /// Takes the next piece and gives the passages that are now certain.
    pub fn push(&mut self, piece: &str, passage: &mut impl FnMut(&str)) {
        self.rest.push_str(piece);
        let mut from = 0;
        // Exactly a passage's worth is not certain: more text can only follow, but it need not.
        while self.rest.len() - from > PASSAGE_MAX_BYTES {
            let rest = &self.rest[from..];
            let cut = cut(&rest[..rest.floor_char_boundary(PASSAGE_MAX_BYTES)]);
            passage(&rest[..cut]);
            from += cut;
        }
        self.rest.drain(..from);
    }

    /// Gives the last passage; there is one unless the text was empty.
    pub fn finish(self, passage: &mut impl FnMut(&str)) {
        if !self.rest.is_empty() {
            passage(&self.rest);
        }
    }
}

/// How long the first passage of `window` is: up to the last heading in it, else the last
/// paragraph, line, sentence or word, else all of it.
fn cut(window: &str) -> usize {
    // What a cut looks for, and how much of it belongs to the passage before the cut.
    let places = [
        ("\n#", 1),
        ("\n\n", 2),
        ("\n\r\n", 3),
        ("\n", 1),
        (". ", 2),
        ("? ", 2),
        ("! ", 2),
        (" ", 1),
    ];
    for (mark, keep) in places {
        if let Some(at) = window.rfind(mark).map(|at| at + keep)
            && at >= PASSAGE_MIN_BYTES
        {
            return at;
        }
    }
    window.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passages(pieces: &[&str]) -> Vec<String> {
        let mut all = Vec::new();
        let mut cutter = Cutter::default();
        for piece in pieces {
            cutter.push(piece, &mut |passage| all.push(passage.to_owned()));
        }
        cutter.finish(&mut |passage| all.push(passage.to_owned()));
        all
    }

    /// A small generator of our own: the tests need variety, not randomness.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % sides
        }

        fn text(&mut self) -> String {
            const WORDS: [&str; 14] = [
                "loket ",
                "a ",
                "fleet. ",
                "\n",
                "\n\n",
                "\r\n\r\n",
                "\n# ",
                "\u{e9}\u{e8} ",
                "\u{1f980}",
                "word",
                "\t",
                "why? ",
                "\n\n\n\n",
                "laaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaang",
            ];
            // Some texts have hardly any place to cut.
            let kinds = [WORDS.len(), 3, 1 + self.roll(WORDS.len())][self.roll(3)];
            let offset = self.roll(WORDS.len());
            let length = self.roll(3_000);
            (0..length).map(|_| WORDS[(offset + self.roll(kinds)) % WORDS.len()]).collect()
        }
    }

    #[test]
    fn nothing_is_lost_and_no_passage_is_too_long_whatever_the_pieces() {
        let mut dice = Dice(7);
        for _ in 0..600 {
            let text = dice.text();
            let whole = passages(&[&text]);
            assert_eq!(whole.concat(), text);
            assert!(whole.iter().all(|p| !p.is_empty() && p.len() <= PASSAGE_MAX_BYTES));

            let mut pieces = Vec::new();
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let (piece, after) =
                    rest.split_at(rest.ceil_char_boundary(1 + dice.roll(5_000)).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            assert_eq!(passages(&pieces), whole);
        }
    }

    #[test]
    fn an_empty_text_has_no_passage_and_a_short_one_is_one() {
        assert_eq!(passages(&[]), Vec::<String>::new());
        assert_eq!(passages(&["", ""]), Vec::<String>::new());
        assert_eq!(passages(&["a\n\nb"]), ["a\n\nb"]);
        let full = "x".repeat(PASSAGE_MAX_BYTES);
        assert_eq!(passages(&[&full]), std::slice::from_ref(&full));
        assert_eq!(passages(&[&full, "y"]), [full, "y".into()]);
    }

    #[test]
    fn the_best_place_is_taken_and_a_heading_stays_with_its_section() {
        let line = "Some words that fill a line of text.\n";
        let section = line.repeat(20);
        let text = format!("{section}\n# Two\n\n{section}\n{section}{section}");
        let cuts = passages(&[&text]);
        assert_eq!(cuts[0], format!("{section}\n"));
        assert!(cuts[1].starts_with("# Two\n\n"));
        assert!(cuts[1].ends_with("\n\n"), "a paragraph's end is better than a line's");

        let one_line = "word ".repeat(1_000);
        assert!(passages(&[&one_line]).iter().all(|p| p.ends_with(' ')));
    }

    #[test]
    fn a_text_of_exactly_one_passage_is_not_cut() {
        let text = format!("{}\n\n# Two\n", "x".repeat(PASSAGE_MAX_BYTES - 8));
        assert_eq!(passages(&[&text]), [text]);
    }

    #[test]
    fn a_nice_place_right_at_the_start_is_not_taken() {
        let text = format!("# A heading\n\n{}", "long ".repeat(500));
        let cuts = passages(&[&text]);
        assert!(cuts[0].len() > PASSAGE_MAX_BYTES - 10 && cuts[0].ends_with("long "));
    }
}
