//! The two base URLs. A value of these types has passed the check, so that nothing can be sent in plain
//! text over a network: TLS everywhere, except to this machine itself.

use hyper::Uri;
use std::net::IpAddr;

/// Why a text is no usable base URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("\"{0}\" is not a URL")]
    NotAUrl(String),
    #[error("the scheme must be {secure}:// ({plain}:// for a loopback address), in \"{url}\"")]
    Scheme { url: String, secure: &'static str, plain: &'static str },
    #[error("{plain}:// is allowed to a loopback address only; use {secure}:// for \"{url}\"")]
    PlainText { url: String, secure: &'static str, plain: &'static str },
    #[error("\"{0}\" must be a bare base such as scheme://host:port, without path, query or user")]
    NotBare(String),
}

/// Base of the streams: `wss://host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamUrl(String);

/// Base of the REST interface: `https://host[:port]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestUrl(String);

impl StreamUrl {
    /// # Errors
    /// The text is no bare `wss://` URL, nor `ws://` to a loopback address.
    pub fn parse(text: &str) -> Result<StreamUrl, BadUrl> {
        base(text, "wss", "ws").map(StreamUrl)
    }

    /// Host and port to connect to.
    pub(crate) fn address(&self) -> (String, u16) {
        address(&self.0)
    }

    /// Where combined streams are served; subscriptions are made once connected.
    pub fn combined(&self) -> String {
        format!("{}/stream", self.0)
    }
}

impl RestUrl {
    /// # Errors
    /// The text is no bare `https://` URL, nor `http://` to a loopback address.
    pub fn parse(text: &str) -> Result<RestUrl, BadUrl> {
        base(text, "https", "http").map(RestUrl)
    }

    /// Host and port to connect to.
    pub(crate) fn address(&self) -> (String, u16) {
        address(&self.0)
    }

    /// Host and port as they were written.
    pub(crate) fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }

    pub(crate) fn is_secure(&self) -> bool {
        // As it is understood, not as it is spelt: `HTTPS://` must not be taken for plain text.
        self.0.parse::<Uri>().is_ok_and(|url| url.scheme_str() != Some("http"))
    }
}

/// Of a text that has passed the check.
fn address(text: &str) -> (String, u16) {
    let url: Uri = text.parse().unwrap_or_default();
    let host = url.host().unwrap_or_default();
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let usual = if matches!(url.scheme_str(), Some("https" | "wss")) { 443 } else { 80 };
    (literal.to_owned(), url.port_u16().unwrap_or(usual))
}

fn base(text: &str, secure: &'static str, plain: &'static str) -> Result<String, BadUrl> {
    let url: Uri = text.parse().map_err(|_| BadUrl::NotAUrl(text.to_owned()))?;
    let scheme = url.scheme_str().ok_or_else(|| BadUrl::NotAUrl(text.to_owned()))?;
    let host = url.host().filter(|h| !h.is_empty()).ok_or_else(|| BadUrl::NotAUrl(text.to_owned()))?;
    if scheme != secure && scheme != plain {
        return Err(BadUrl::Scheme { url: text.to_owned(), secure, plain });
    }
    if scheme == plain && !is_loopback(host) {
        return Err(BadUrl::PlainText { url: text.to_owned(), secure, plain });
    }
    let has_user = url.authority().is_some_and(|a| a.as_str().contains('@'));
    if !matches!(url.path(), "" | "/") || url.query().is_some() || has_user {
        return Err(BadUrl::NotBare(text.to_owned()));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// `localhost` is taken at its word: RFC 6761 reserves the name for loopback.
fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_goes_anywhere_and_plain_text_only_home() {
        for good in ["wss://stream.binance.com:9443", "ws://127.0.0.1:1", "ws://[::1]:80", "ws://localhost:9/"] {
            assert!(StreamUrl::parse(good).is_ok(), "{good}");
        }
        for bad in ["ws://stream.binance.com", "ws://127.0.0.1.evil.example", "ws://10.0.0.1", "ws://localhost.evil"] {
            assert!(matches!(StreamUrl::parse(bad), Err(BadUrl::PlainText { .. })), "{bad}");
        }
        assert!(matches!(RestUrl::parse("wss://data-api.binance.vision"), Err(BadUrl::Scheme { .. })));
        assert!(RestUrl::parse("http://127.0.0.1:8080").is_ok());
    }

    #[test]
    fn a_base_is_bare() {
        for bad in ["https://a.example/api", "https://a.example/?x=1", "https://user:pw@a.example"] {
            assert!(matches!(RestUrl::parse(bad), Err(BadUrl::NotBare(_))), "{bad}");
        }
        for bad in ["", "a.example", "https://", "http s://a", "/api"] {
            assert!(matches!(RestUrl::parse(bad), Err(BadUrl::NotAUrl(_))), "{bad}");
        }
    }

    #[test]
    fn an_address_has_a_port() {
        let address = |text| RestUrl::parse(text).unwrap().address();
        assert_eq!(address("https://a.example"), ("a.example".to_owned(), 443));
        assert_eq!(address("http://[::1]"), ("::1".to_owned(), 80));
        assert_eq!(StreamUrl::parse("wss://a.example:9443").unwrap().address(), ("a.example".to_owned(), 9443));
        assert_eq!(StreamUrl::parse("wss://a.example").unwrap().address().1, 443);
        assert!(RestUrl::parse("https://a.example").unwrap().is_secure());
        assert!(!RestUrl::parse("http://localhost").unwrap().is_secure());
        assert!(RestUrl::parse("HTTPS://a.example").is_ok_and(|url| url.is_secure()));
    }

    #[test]
    fn a_trailing_slash_does_not_double() {
        assert_eq!(RestUrl::parse("https://a.example:8/").unwrap().authority(), "a.example:8");
        assert_eq!(StreamUrl::parse("wss://a.example").unwrap().combined(), "wss://a.example/stream");
    }
}
