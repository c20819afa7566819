//! The pages behind the codes; their text is `docs/errors/CODE.md`, one file a code.

macro_rules! page {
    ($code:literal) => {
        ($code, include_str!(concat!("../../../docs/errors/", $code, ".md")))
    };
}

/// Codes and pages, sorted by code.
const PAGES: [(&str, &str); 66] = [
    page!("E001"),
    page!("E002"),
    page!("E003"),
    page!("E004"),
    page!("E005"),
    page!("E006"),
    page!("E007"),
    page!("E008"),
    page!("E009"),
    page!("E101"),
    page!("E102"),
    page!("E103"),
    page!("E104"),
    page!("E105"),
    page!("E106"),
    page!("E107"),
    page!("E108"),
    page!("E109"),
    page!("E111"),
    page!("E112"),
    page!("E113"),
    page!("E201"),
    page!("E202"),
    page!("E203"),
    page!("E205"),
    page!("E206"),
    page!("E207"),
    page!("E208"),
    page!("E209"),
    page!("E212"),
    page!("E213"),
    page!("E214"),
    page!("E215"),
    page!("E216"),
    page!("E301"),
    page!("E302"),
    page!("E303"),
    page!("E305"),
    page!("E307"),
    page!("W401"),
    page!("W402"),
    page!("W403"),
    page!("W404"),
    page!("W406"),
    page!("W407"),
    page!("W408"),
    page!("W409"),
    page!("W410"),
    page!("W413"),
    page!("W414"),
    page!("W415"),
    page!("W416"),
    page!("W419"),
    page!("W420"),
    page!("W421"),
    page!("W422"),
    page!("W424"),
    page!("W425"),
    page!("W426"),
    page!("W427"),
    page!("W428"),
    page!("W429"),
    page!("W430"),
    page!("W431"),
    page!("W432"),
    page!("W433"),
];

/// The page of a finding's code: what it means, why it matters, what to do.
pub fn explain(code: &str) -> Option<&'static str> {
    let at = PAGES.binary_search_by_key(&code, |(code, _)| code).ok()?;
    PAGES.get(at).map(|(_, page)| *page)
}

/// All codes that have a page, sorted.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(code, _)| *code)
}
