//! A URL, and whether a grant's `hosts` name it.
//!
//! `hosts` holds `host:port`, `host:port/path/*`, or `*`. Only the first two spell the host out, which alone opens private
//! addresses.

use http::Uri;
use loket_kernel::Scope;
use loket_turn::Failure;

/// Bytes of a URL at most: what most servers take.
const URL_BYTES_MAX: usize = 8 * 1024;

/// A URL that a grant allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) uri: Uri,
    /// The grant spells the host out: its addresses may be private.
    pub(crate) spelled_out: bool,
}

/// Reads `url` and asks the scope.
pub(crate) fn target(url: &str, scope: &Scope) -> Result<Target, Failure> {
    let bad = |why: &str| Err(Failure::new("bad_args", format!("the url {why}")));
    if url.len() > URL_BYTES_MAX {
        return bad(&format!("has {} bytes, the limit is {URL_BYTES_MAX}", url.len()));
    }
    let Ok(uri) = url.parse::<Uri>() else { return bad("is none: scheme://host:port/path") };
    let default_port = match uri.scheme_str() {
        Some("http") => 80,
        Some("https") if cfg!(feature = "https") => 443,
        Some("https") => return bad("is https, which this build of Loket leaves out"),
        _ => return bad("begins with http:// or https://"),
    };
    let Some(authority) = uri.authority() else { return bad("has no host") };
    if authority.as_str().contains('@') {
        return bad("has a login in it: a secret belongs into a header, by its name");
    }
    if authority.host().is_empty() || url.contains('\\') {
        return bad("has no host");
    }
    let climbs = |segment: &str| {
        let plain = decoded(segment);
        plain == "." || plain == ".." || plain.contains(['/', '\\'])
    };
    if uri.path().split('/').any(climbs) {
        return bad("has a path that climbs or hides a slash");
    }
    let port = authority.port_u16().unwrap_or(default_port);
    let host = format!("{}:{port}", authority.host().to_ascii_lowercase());
    let whole = format!("{host}{}", uri.path());
    let spelled_out = scope.names("hosts").is_some_and(|names| {
        let mut names = names.iter().filter(|name| name.as_str() != "*");
        names.any(|name| name.matches(&host) || name.matches(&whole))
    });
    if spelled_out || scope.allows("hosts", &host) {
        return Ok(Target { uri, spelled_out });
    }
    let text =
        format!("the grant does not allow host {host:?}; add it: scope: {{\"hosts\": [{host:?}]}}");
    Err(Failure::new("out_of_scope", text))
}

/// A path's segment without its percent signs; what is no such sign stays.
fn decoded(segment: &str) -> String {
    let mut bytes = segment.bytes();
    let mut plain = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let hex = |byte: Option<u8>| char::from(byte?).to_digit(16);
        if byte == b'%'
            && let (Some(high), Some(low)) = (hex(ahead.next()), hex(ahead.next()))
        {
            plain.push(u8::try_from(high * 16 + low).unwrap_or(byte));
            bytes = ahead;
        } else {
            plain.push(byte);
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use loket_kernel::{Bound, Pattern};

    fn scope(hosts: &[&str]) -> Scope {
        let names = hosts.iter().map(|host| Pattern::parse(host).unwrap()).collect();
        let mut scope = Scope::new();
        scope.insert("hosts", Bound::Names(names));
        scope
    }

    #[test]
    fn a_grant_names_hosts_with_their_port_and_may_name_a_path() {
        let scope = scope(&["a.example:80", "[::1]:8080", "b.example:8443/v1/*"]);
        for url in [
            "http://a.example/x?q=1",
            "http://A.Example:80",
            "http://[::1]:8080/",
            "http://b.example:8443/v1/items",
        ] {
            assert!(target(url, &scope).unwrap().spelled_out, "{url}");
        }
        for url in [
            "http://a.example:81/",
            "http://b.example:8443/v2",
            "http://b.example:8443/v1",
            "http://xa.example/",
            "http://a.example.evil/",
            "http://[::1]/",
        ] {
            assert_eq!(target(url, &scope).unwrap_err().code, "out_of_scope", "{url}");
        }
    }

    #[test]
    fn a_star_allows_every_host_and_spells_none_out() {
        assert!(!target("http://a.example/", &scope(&["*"])).unwrap().spelled_out);
        assert!(target("http://a.example/", &scope(&["*", "a.example:80"])).unwrap().spelled_out);
        assert_eq!(target("http://a.example/", &scope(&[])).unwrap_err().code, "out_of_scope");
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        let scope = scope(&["b.example:80/v1/*", "*"]);
        for url in [
            "ftp://b.example/",
            "b.example",
            "/v1/x",
            "http://",
            "http://user:pw@b.example/v1/x",
            "http://b.example/v1/../x",
            "http://b.example/v1/%2e%2E/x",
            "http://b.example/v1/..%2fx",
            "http://b.example/v1/%5c..",
            "http://b.example\\@evil/v1/x",
            "",
        ] {
            assert_eq!(target(url, &scope).unwrap_err().code, "bad_args", "{url}");
        }
        let long = format!("http://b.example/{}", "a".repeat(URL_BYTES_MAX));
        assert!(target(&long, &scope).unwrap_err().message.contains("limit"));
    }
}
