//! Checks of the region and the connection to the service: endpoint, names, proxy, TLS, and the server's clock.

use std::net::IpAddr;
use std::time::Duration;

use hyper::http::Uri;
use jiff::{Timestamp, fmt::rfc2822};

use super::Examination;
use super::finding::Finding;
use crate::image::Registry;
use crate::image::host::{Address, is_this_machine};
use crate::model;
use crate::network::Network;
use crate::service::diagnosis::{Diagnosis, Reply, Unreachable};

/// Time limit of resolving a name.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Tolerated age of a signature, in seconds (SigV4).
const TOLERATED: u64 = 300;
/// Clock difference, in seconds, that is worth a warning.
const NOTICED: u64 = 60;

/// Examines it; answers whether the service can be called.
pub(super) async fn examine(examination: &mut Examination<'_>, diagnosis: &Diagnosis) -> bool {
    if examination.settings.local() {
        examination.report.ok(Finding::Endpoint, "the embedded ECR in this process");
        return true;
    }
    if examination.is_public() {
        return route(examination, diagnosis, "https://public.ecr.aws/v2/").await;
    }
    if !region(examination) {
        return false;
    }
    let name = examination.region.clone().unwrap_or_default();
    let url = match diagnosis.endpoint(model::ecr(), &name).await {
        Ok(url) => url,
        Err(error) => {
            let hint = "correct --endpoint-url, AWS_ENDPOINT_URL, or the region";
            examination.report.add(Finding::EndpointInvalid, error.to_string(), hint);
            return false;
        }
    };
    endpoint(examination, &url);
    if examination.context.settings.globals().no_verify_ssl {
        let detail = "--no-verify-ssl: whoever answers is believed, and gets the requests";
        examination.report.add(
            Finding::TlsUnverified,
            detail,
            "name the certificate with --ca-bundle instead",
        );
    }
    let is_reached = route(examination, diagnosis, &url).await;
    // docker asks another host than the API is at, which in a VPC needs an endpoint of its own. What answers for the API
    // on this machine answers docker too.
    let is_here = Address::parse(&url).is_some_and(|address| is_this_machine(&address.name));
    let elsewhere = |host: &String| !url.contains(host.as_str()) && !is_here;
    if let Some(host) = examination.host().filter(elsewhere) {
        route(examination, diagnosis, &format!("https://{host}/v2/")).await;
    }
    is_reached
}

fn region(examination: &mut Examination<'_>) -> bool {
    let Some(name) = examination.region.clone() else {
        if examination.settings.region().is_ok() {
            examination.report.add(
                Finding::RegionMissing,
                "no region is configured, and the reference names none",
                "set AWS_REGION, or `region` in the profile, or write the registry's host in front of the repository",
            );
        }
        return false;
    };
    let registry = examination.reference.as_ref().and_then(|reference| reference.registry.as_ref());
    let of_host = matches!(registry, Some(Registry::Ecr { .. }));
    let place = match (of_host, &examination.configured_region) {
        (true, _) => "of the reference's host",
        (false, Some(_)) => "configured",
        (false, None) => "of this machine",
    };
    examination.report.ok(Finding::Region, format!("{name}, {place}"));
    if let Some(configured) =
        examination.configured_region.clone().filter(|region| of_host && *region != name)
    {
        examination.report.add(
            Finding::RegionDiffers,
            format!("the registry is in {name}, and the region that is configured is {configured}"),
            format!(
                "a password of {configured} is refused in {name} (400 Bad Request): use `ecr login HOST`, or `aws ecr \
                 get-login-password --region {name}`"
            ),
        );
    }
    true
}

fn endpoint(examination: &mut Examination<'_>, url: &str) {
    let settings = &examination.context.settings;
    let registry = examination.reference.as_ref().and_then(|reference| reference.registry.as_ref());
    let overridden = settings.endpoint("ecr").ok().flatten().is_some();
    if overridden && !matches!(registry, Some(Registry::Loopback(_))) {
        let by = if settings.globals().endpoint_url.is_some() {
            "--endpoint-url"
        } else if settings.filled_variable("AWS_ENDPOINT_URL_ECR").is_some() {
            "AWS_ENDPOINT_URL_ECR"
        } else if settings.filled_variable("AWS_ENDPOINT_URL").is_some() {
            "AWS_ENDPOINT_URL"
        } else {
            "the profile"
        };
        let detail = format!("calls go to {url}, which {by} says");
        examination.report.add(
            Finding::EndpointOverridden,
            detail,
            format!("for Amazon ECR itself, take {by} away"),
        );
    } else {
        examination.report.ok(Finding::Endpoint, url);
    }
}

/// Examines the connection to one URL; returns whether a server answers there.
async fn route(examination: &mut Examination<'_>, diagnosis: &Diagnosis, url: &str) -> bool {
    let (Ok(uri), Ok(network)) = (url.parse::<Uri>(), Network::from_settings(&examination.settings)) else {
        return false;
    };
    let (host, port) = authority(&uri);
    let chooser = network.proxy_chooser();
    let proxy =
        chooser.as_ref().and_then(|chooser| chooser.choose(&uri)).map(|proxy| proxy.address.to_string());
    let addresses = addresses(&host, port).await;
    let is_private = !addresses.is_empty() && addresses.iter().all(is_private);
    // A proxy looks names up itself.
    if addresses.is_empty() && proxy.is_none() {
        examination.report.add(
            Finding::DnsFailed,
            format!("the name {host} has no address"),
            "is the region right? In a VPC: enableDnsSupport, enableDnsHostnames, and private DNS names of the endpoint",
        );
        return false;
    }
    if let Some(address) = addresses.first().filter(|_| host.parse::<IpAddr>().is_err()) {
        let kind = if is_private { "private" } else { "public" };
        examination.report.ok(Finding::Dns, format!("{host} is {address} ({kind})"));
    }
    if let Some(proxy) = &proxy {
        examination.report.ok(Finding::Proxy, format!("{host} is asked through {proxy}"));
        if is_private {
            examination.report.add(
                Finding::ProxyNoBypass,
                format!(
                    "{host} has a private address, as a VPC endpoint has, and is asked through the proxy \
                         {proxy} all the same"
                ),
                format!("add {host} to NO_PROXY, also for the docker daemon and its services"),
            );
        }
    } else if chooser.is_some() {
        examination.report.ok(Finding::Proxy, format!("none for {host}, which NO_PROXY names"));
    }
    reached(examination, &host, diagnosis.reach(url).await)
}

/// Reports the result of asking a host; returns whether it answered.
fn reached(examination: &mut Examination<'_>, host: &str, answer: Result<Reply, Unreachable>) -> bool {
    let report = &mut examination.report;
    match answer {
        Ok(reply) => {
            report.ok(Finding::Connection, format!("{host} answers (HTTP {})", reply.status));
            if let Some(date) = &reply.date {
                clock(examination, date);
            }
            return true;
        }
        Err(Unreachable::Tls(reason)) => report.add(
            Finding::TlsFailed,
            format!("{host}: {reason}"),
            "does something in between decrypt TLS? Name its certificate: AWS_CA_BUNDLE or --ca-bundle; docker has its \
             own place, /etc/docker/certs.d",
        ),
        Err(Unreachable::Proxy(proxy)) => report.add(
            Finding::ProxyFailed,
            format!("the proxy {proxy} does not answer"),
            "correct HTTPS_PROXY and HTTP_PROXY, or unset them; the lower-case names win",
        ),
        Err(unreachable) => report.add(
            Finding::ConnectionFailed,
            format!("{host}: {unreachable}"),
            "a firewall or security group on port 443? A VPC without way out needs endpoints for ecr.api, ecr.dkr \
             and s3",
        ),
    }
    false
}

fn clock(examination: &mut Examination<'_>, date: &str) {
    let Ok(theirs) = rfc2822::DateTimeParser::new().parse_timestamp(date) else { return };
    let seconds = Timestamp::now().as_second() - theirs.as_second();
    let off = seconds.unsigned_abs();
    let side = if seconds < 0 { "behind" } else { "ahead of" };
    let detail = format!("the clock of this machine is {off} seconds {side} the server's");
    let hint = "set it: `timedatectl set-ntp true`; in WSL, `sudo hwclock -s` after the machine has slept";
    if off > TOLERATED {
        examination.report.add(
            Finding::ClockSkew,
            format!("{detail}; signatures are refused beyond {TOLERATED}"),
            hint,
        );
    } else if off > NOTICED {
        examination.report.add(Finding::ClockDrift, detail, hint);
    } else {
        examination.report.ok(Finding::Clock, "within a minute of the server's");
    }
}

fn authority(uri: &Uri) -> (String, u16) {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    (host, uri.port_u16().unwrap_or(default))
}

async fn addresses(host: &str, port: u16) -> Vec<IpAddr> {
    let looked_up = tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, port))).await;
    looked_up.ok().and_then(Result::ok).into_iter().flatten().map(|address| address.ip()).collect()
}

/// Returns whether an address is in a private network: RFC 1918, RFC 6598, unique local IPv6, or this machine.
fn is_private(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || address.is_loopback() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}
