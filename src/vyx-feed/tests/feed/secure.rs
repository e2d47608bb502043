//! TLS and names: who cannot prove to be the exchange is refused by name, never talked to in plain text, and taken as soon
//! as that is mended.

use crate::{Exchange, play_over};
use futures_util::future::LocalBoxFuture;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use vyx_core::Interval;
use vyx_feed::{Dial, Disconnect, Event, Tcp, Transport};

/// So long after a remedy the feed has to be back: the longest pause between two attempts, and the attempt.
const RECOVERY: Duration = Duration::from_secs(31);

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What a server with this certificate accepts connections with.
fn acceptor(authority: &Authority, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    change(&mut params);
    let certificate: CertificateDer = params.signed_by(&key, authority).unwrap().into();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// The network, and one authority that is trusted.
struct Trusting<'a>(&'a Authority);

impl Dial for Trusting<'_> {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> LocalBoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Tcp.dial(host, port)
    }

    fn roots(&self) -> rustls::RootCertStore {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

/// TLS in front of a plain port.
struct Front {
    acceptor: RefCell<TlsAcceptor>,
    /// Something was said that is no TLS.
    heard_plain_text: Cell<bool>,
    port: u16,
}

impl Front {
    async fn before(plain: String, acceptor: TlsAcceptor) -> Rc<Front> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let front = Rc::new(Front { acceptor: RefCell::new(acceptor), heard_plain_text: Cell::new(false), port });
        let (served, plain) = (Rc::clone(&front), plain.split_once("://").unwrap().1.to_owned());
        spawn_local(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                spawn_local(serve(Rc::clone(&served), socket, plain.clone()));
            }
        });
        front
    }
}

async fn serve(front: Rc<Front>, socket: TcpStream, plain: String) {
    let mut first = [0];
    // A TLS handshake begins with a record of type 22.
    if matches!(socket.peek(&mut first).await, Ok(1..)) && first != [22] {
        front.heard_plain_text.set(true);
    }
    let acceptor = front.acceptor.borrow().clone();
    let Ok(mut near) = acceptor.accept(socket).await else { return };
    let mut far = TcpStream::connect(plain).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
}

/// Streams and REST behind a certificate that has to be refused in these words, and then behind a good one.
#[track_caller]
fn check(bad: impl FnOnce(&Authority) -> TlsAcceptor, words: &str) {
    let trusted = authority("Trust");
    let bad = bad(&trusted);
    let good = acceptor(&trusted, "127.0.0.1", |_| ());
    play_over(&Trusting(&trusted), &["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        let streams = Front::before(stage.exchange.stream_url(), bad.clone()).await;
        let rest = Front::before(stage.exchange.rest_url(), bad).await;
        stage.change(|s| s.stream_url = format!("wss://127.0.0.1:{}", streams.port));
        let refused = |s: &crate::Stage| {
            s.memory.count(|event| {
                matches!(event, Event::ConnectFailed { reason: Disconnect::Unreachable(why) } if why.contains(words))
            }) > 0
        };
        stage.until("the streams are refused", refused).await;
        stage.change(|s| s.rest_url = format!("https://127.0.0.1:{}", rest.port));
        stage
            .until("the list is refused", |s| {
                s.memory.lines().iter().any(|(_, line)| line.contains("list of symbols") && line.contains(words))
            })
            .await;
        sleep(Duration::from_secs(1)).await;
        let mended = Instant::now();
        streams.acceptor.replace(good.clone());
        rest.acceptor.replace(good);
        let (held, requests) = (stage.memory.count(|e| *e == Event::Message), stage.exchange.did().len());
        stage.until("data flows", |s| s.memory.count(|e| *e == Event::Message) > held).await;
        assert!(mended.elapsed() < RECOVERY, "{:?}", mended.elapsed());
        stage.until_complete().await;
        assert!(stage.exchange.did().len() > requests);
        assert!(!streams.heard_plain_text.get() && !rest.heard_plain_text.get(), "a fallback to plain text");
    });
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    check(|_| acceptor(&authority("Somebody"), "127.0.0.1", |_| ()), "UnknownIssuer");
}

#[test]
fn an_expired_certificate_is_refused() {
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    check(|trusted| acceptor(trusted, "127.0.0.1", expired), "certificate expired");
}

#[test]
fn a_certificate_of_another_host_is_refused() {
    check(|trusted| acceptor(trusted, "stream.example", |_| ()), "not valid for name");
}

#[test]
fn a_name_that_leads_nowhere_is_told_and_the_right_one_taken_at_once() {
    play_over(&Tcp, &["BTCUSDT"], &[Interval::M1], 60, async |stage| {
        stage.until_complete().await;
        let right = (stage.exchange.stream_url(), stage.exchange.rest_url());
        stage.change(|s| {
            (s.stream_url, s.rest_url) = ("wss://nowhere.invalid".to_owned(), "https://nowhere.invalid".to_owned());
        });
        let failed = |s: &crate::Stage| {
            s.memory.count(|event| matches!(event, Event::ConnectFailed { reason: Disconnect::Unreachable(_) })) > 0
        };
        stage.until("it is told", failed).await;
        assert!(stage.memory.said("connection 0 to wss://nowhere.invalid: could not connect: "));
        let mended = Instant::now();
        let other = Exchange::start(&["BTCUSDT"], 60).await;
        assert_ne!(other.stream_url(), right.0);
        stage.change(|s| (s.stream_url, s.rest_url) = right);
        stage.until("connected again", |s| s.exchange.connections() == 2).await;
        assert!(mended.elapsed() < RECOVERY, "{:?}", mended.elapsed());
        stage.until_complete().await;
    });
}
