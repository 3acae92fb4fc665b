//! The TLS side: which certificates are trusted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::{Network, TlsError};

/// The client's side of every handshake. Reads the trusted certificates, which takes milliseconds.
pub(super) fn configuration(network: &Network) -> Result<ClientConfig, TlsError> {
    let failed = |error: &dyn std::fmt::Display| TlsError(error.to_string());
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = if network.unverified {
        Arc::new(AcceptAny(provider.signature_verification_algorithms))
    } else {
        let trusted = trusted(network.ca_bundle.as_deref())?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.iter().cloned());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier.build().map_err(|error| failed(&error))?;
        // Only a chosen bundle may contain a server's certificate itself.
        let named = if network.ca_bundle.is_some() { trusted } else { Vec::new() };
        Arc::new(Trusted { verifier, named })
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| failed(&error))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn trusted(bundle: Option<&str>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = match bundle {
        None => rustls_native_certs::load_native_certs(),
        Some(path) => {
            let path = Path::new(path);
            // Python's words, which are the bare reason.
            let facts = path.metadata().map_err(|error| TlsError(python_words(&error)))?;
            let (file, folder) = if facts.is_dir() { (None, Some(path)) } else { (Some(path), None) };
            rustls_native_certs::load_certs_from_paths(file, folder)
        }
    };
    if found.certs.is_empty() {
        let place = bundle.map_or_else(|| "on this machine".to_owned(), |path| format!("in {path}"));
        return Err(TlsError(format!("no trusted certificates {place}")));
    }
    Ok(found.certs)
}

/// Words a TLS error as OpenSSL does, as far as both have the same error.
pub fn reason(error: &rustls::Error) -> String {
    use CertificateError as Why;
    let rustls::Error::InvalidCertificate(why) = error else { return format!("[SSL] {error}") };
    let reason = match why {
        Why::Expired | Why::ExpiredContext { .. } => "certificate has expired".to_owned(),
        Why::NotValidYet | Why::NotValidYetContext { .. } => "certificate is not yet valid".to_owned(),
        Why::UnknownIssuer => "unable to get local issuer certificate".to_owned(),
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "Hostname mismatch, certificate is not valid for this host".to_owned()
        }
        Why::Other(other) => spaced(&other.0.to_string()),
        other => other.to_string(),
    };
    format!("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {reason}")
}

/// Spells the name of a WebPKI error as words: `CaUsedAsEndEntity` is the name of its variant in Rust.
fn spaced(name: &str) -> String {
    if name == "CaUsedAsEndEntity" {
        return "self-signed certificate".to_owned();
    }
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// An error of the operating system as Python prints it.
fn python_words(error: &std::io::Error) -> String {
    let words = error.to_string();
    match (error.raw_os_error(), words.split_once(" (os error")) {
        (Some(code), Some((words, _))) => format!("[Errno {code}] {words}"),
        _ => words,
    }
}

/// Verifier that accepts certificates signed by the trusted ones, and the trusted ones themselves: OpenSSL accepts a
/// self-signed certificate as a bundle, which WebPKI by itself refuses because it is also an authority's.
#[derive(Debug)]
struct Trusted {
    verifier: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.verifier.verify_server_cert(certificate, others, name, stapled, now);
        if matches!(&verdict, Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))))
            && self.named.iter().any(|named| named.as_ref() == certificate.as_ref())
        {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Verifier that accepts any certificate, for `--no-verify-ssl`; signatures of the handshake are still checked.
#[derive(Debug)]
pub(super) struct AcceptAny(pub(super) WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
