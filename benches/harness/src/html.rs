//! A report as one HTML page with plots drawn into it: nothing is fetched, nothing runs.

use crate::compare::Comparison;
use crate::text::{self, thousands, time};
use crate::{Report, Series, comparison_table};
use std::fmt::Write;

/// Width of a plot's field, pixels.
const FIELD: f64 = 560.0;

/// Room for names beside it.
const NAMES: f64 = 150.0;

/// Height of one row.
const ROW: f64 = 26.0;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>loket bench</title><style>\
body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}\
pre{background:#f5f5f2;padding:1em;overflow-x:auto;font-size:12px}svg{display:block;margin:1em 0}\
svg text{font:12px system-ui,sans-serif;fill:#333}.bar{fill:#4a7fb5}.many{fill:#8fb8de}.line{stroke:#c0392b}\
.dot{fill:#c0392b;fill-opacity:.55}.grid{stroke:#ddd}h2{margin-top:2em}</style></head><body>\n";

/// The page.
#[must_use]
pub fn page(report: &Report, comparison: Option<&Comparison>) -> String {
    let mut html = String::from(HEAD);
    let _ = writeln!(html, "<h1>loket bench {}</h1>", escape(&report.loket));
    html.push_str("<h2>Time of one, median and 95 % interval</h2>\n");
    html.push_str(
        "<p>Logarithmic. Dark: one at a time; light: many at once; dots: the repeats.</p>\n",
    );
    html.push_str(&plot(report, |series| {
        let ns = &series.ns;
        Mark { value: ns.median, low: ns.low, high: ns.high, dots: ns.repeats.clone() }
    }));
    html.push_str(
        "<h2>Percentiles of single ones</h2>\n<p>Bar: half; line: from there to 99.9 %.</p>\n",
    );
    html.push_str(&plot(report, |series| match &series.latency {
        Some(l) => Mark {
            value: l.p50_ns as f64,
            low: l.p50_ns as f64,
            high: l.p999_ns as f64,
            dots: vec![l.p99_ns as f64],
        },
        None => Mark { value: 0.0, low: 0.0, high: 0.0, dots: Vec::new() },
    }));
    let _ = writeln!(html, "<h2>Figures</h2>\n<pre>{}</pre>", escape(&text::table(report)));
    if let Some(comparison) = comparison {
        let table = escape(&comparison_table(comparison));
        let _ = writeln!(html, "<h2>Against the earlier run</h2>\n<pre>{table}</pre>");
    }
    html.push_str("</body></html>\n");
    html
}

/// What is drawn of a series, nanoseconds.
struct Mark {
    value: f64,
    low: f64,
    high: f64,
    dots: Vec<f64>,
}

/// A row for each series, on a logarithmic scale with a line at each power of ten.
fn plot(report: &Report, of: impl Fn(&Series) -> Mark) -> String {
    let mut rows = Vec::new();
    for tier in &report.tiers {
        for (class, series) in [("bar", &tier.one), ("many", &tier.many)] {
            if let Some(series) = series {
                let name = format!("{} {} x{}", tier.letter, tier.tier, series.callers);
                rows.push((class, name, of(series), series.per_second));
            }
        }
    }
    let most = rows.iter().map(|(_, _, mark, _)| mark.high.max(mark.value)).fold(10.0, f64::max);
    let decades = most.log10().ceil().max(1.0);
    let x = |ns: f64| NAMES + FIELD * ns.max(1.0).log10() / decades;
    let (width, height) = (NAMES + FIELD + 110.0, ROW * (rows.len() as f64 + 1.0));
    let mut svg = format!(
        "<svg role=\"img\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\n"
    );
    let mut tick = 1.0;
    while tick <= 10_f64.powf(decades) {
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{1:.1}\"/><text x=\"{0:.1}\" y=\"{2:.1}\">{3}</text>",
            x(tick),
            height - ROW,
            height - 8.0,
            time(tick)
        );
        tick *= 10.0;
    }
    for (at, (class, name, mark, rate)) in rows.iter().enumerate() {
        let top = ROW * at as f64 + 5.0;
        let middle = top + 8.0;
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{:.1}\">{}</text><rect class=\"{class}\" x=\"{NAMES}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"16\"/>\
             <line class=\"line\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>",
            top + 12.0,
            escape(name),
            x(mark.value) - NAMES,
            x(mark.low),
            x(mark.high),
        );
        for dot in &mark.dots {
            let _ = writeln!(
                svg,
                "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"2.5\"/>",
                x(*dot)
            );
        }
        let right = x(mark.high.max(mark.value)) + 8.0;
        let told = format!("{} ({}/s)", time(mark.value), thousands(*rate));
        let _ = writeln!(svg, "<text x=\"{right:.1}\" y=\"{:.1}\">{told}</text>", top + 12.0);
    }
    svg.push_str("</svg>\n");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare;
    use crate::report::sample;

    #[test]
    fn the_page_stands_alone_and_escapes_what_it_shows() {
        let report = sample(&[100.0, 110.0, 90.0]);
        let page = page(&report, Some(&compare(&report, &report)));
        assert!(page.contains("<svg") && page.contains("calls with &lt;angles&gt;"));
        assert!(page.contains("Against the earlier run"));
        for way_out in ["http", "<script", "src=", "url(", "@import"] {
            assert!(!page.contains(way_out), "{way_out}");
        }
        let dots = page.matches("<circle").count();
        assert_eq!(dots, 4, "three repeats and a percentile");
    }
}
