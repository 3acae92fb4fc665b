//! Faults on demand, for testing clients: rules that make requests fail as networks and services do.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use super::{download, response};
use crate::local::aws_api::error::ApiError;
use crate::local::core::download_url::DOWNLOADS;
use crate::local::core::{token, uploads};
use crate::local::distribution::error::OciError;
use crate::local::http::response::Body;
use crate::local::http::state::State;

/// One rule: `TARGET,ACTION[,count=N][,after=N][,every=N][,probability=P][,seed=N]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// An operation, the beginning of a path, or `*`.
    target: String,
    action: Action,
    /// Limit of the requests that the fault affects.
    count: u64,
    /// Number of matching requests that pass first.
    after: u64,
    /// It strikes one of so many of the rest.
    every: u64,
    probability: f64,
    seed: u64,
}

/// Fault that is injected into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The request is throttled.
    Throttle,
    /// The request fails with this status, 500 or more.
    Error(u16),
    /// The answer comes so much later.
    Delay(Duration),
    /// Its connection breaks after so many bytes of the answer's body; with 0 there is no answer at all.
    Drop(u64),
    /// Its answer ends after so many bytes, as if that were all.
    Truncate(u64),
    /// Its answer comes to a halt after so many bytes of the body.
    Stall(u64),
    /// One bit of the answer's body is wrong.
    Corrupt,
    /// No unfinished upload is known any more.
    ExpireUploads,
    /// No token is good any more.
    ExpireTokens,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',').map(str::trim);
        let (target, action) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if target.is_empty() || action.is_empty() {
            return Err("a rule is TARGET,ACTION with options behind it".to_owned());
        }
        let mut rule = Self {
            target: target.to_owned(),
            action: action_of(action)?,
            count: u64::MAX,
            after: 0,
            every: 1,
            probability: 1.0,
            seed: 0,
        };
        for part in parts {
            let wrong = || format!("{part} is not count=N, after=N, every=N, probability=P or seed=N");
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            let number = || value.parse::<u64>().map_err(|_| wrong());
            match name {
                "count" => rule.count = number()?,
                "after" => rule.after = number()?,
                "every" => rule.every = Some(number()?).filter(|every| *every > 0).ok_or_else(wrong)?,
                "seed" => rule.seed = number()?,
                "probability" => {
                    let probability = value.parse().ok().filter(|value| (0.0..=1.0).contains(value));
                    rule.probability = probability.ok_or_else(wrong)?;
                }
                _ => return Err(wrong()),
            }
        }
        Ok(rule)
    }
}

fn action_of(text: &str) -> Result<Action, String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let number = || value.parse::<u64>().map_err(|_| format!("{name} takes a number, as in {name}=100"));
    Ok(match name {
        "throttle" => Action::Throttle,
        "error" if value.is_empty() => Action::Error(500),
        "error" => match number()? {
            status @ 500..=599 => Action::Error(u16::try_from(status).unwrap_or(500)),
            _ => return Err("error takes a status from 500 to 599".to_owned()),
        },
        "delay" => Action::Delay(Duration::from_millis(number()?)),
        "drop" => Action::Drop(number()?),
        "truncate" => Action::Truncate(number()?),
        "stall" => Action::Stall(number()?),
        "corrupt" => Action::Corrupt,
        "expire-uploads" => Action::ExpireUploads,
        "expire-tokens" => Action::ExpireTokens,
        _ => {
            return Err(format!(
                "{name} is none of throttle, error, delay=MILLISECONDS, drop=BYTES, truncate=BYTES, stall=BYTES, \
                 corrupt, expire-uploads and expire-tokens"
            ));
        }
    })
}

/// Rules of a server with their counters.
#[derive(Debug)]
pub(super) struct FaultRules(Mutex<Vec<(Rule, RuleCounters)>>);

#[derive(Debug)]
struct RuleCounters {
    matching: u64,
    struck: u64,
    random: u64,
}

impl FaultRules {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        let seen = |rule: &Rule| RuleCounters { matching: 0, struck: 0, random: rule.seed };
        Self(Mutex::new(
            rules.into_iter().map(|rule| (seen(&rule), rule)).map(|(seen, rule)| (rule, seen)).collect(),
        ))
    }

    /// Fault for a request: the first rule that strikes decides.
    pub(super) fn strike(&self, operation: &str, method: &Method, path: &str) -> Option<Action> {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter_mut().find_map(|(rule, seen)| {
            let target = rule.target.as_str();
            let pathed = format!("{method} {path}");
            let matches = target == "*"
                || target == operation
                || (target.starts_with('/') && path.starts_with(target))
                || (target.contains(" /") && pathed.starts_with(target));
            if !matches || path == "/healthz" {
                return None;
            }
            seen.strikes(rule).then_some(rule.action)
        })
    }
}

impl RuleCounters {
    /// Counts a request that matches a rule, and answers whether it is struck.
    fn strikes(&mut self, rule: &Rule) -> bool {
        self.matching += 1;
        let is_due = self.matching > rule.after && (self.matching - rule.after).is_multiple_of(rule.every);
        let strikes = is_due && self.struck < rule.count && self.chance(rule.probability);
        self.struck += u64::from(strikes);
        strikes
    }

    /// SplitMix64, so that the same seed strikes the same requests.
    fn chance(&mut self, probability: f64) -> bool {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let share = u32::try_from(mixed >> 32).unwrap_or_default();
        f64::from(share) / f64::from(u32::MAX) < probability || probability >= 1.0
    }
}

/// Applies a fault to a request, and answers it if it can be answered.
pub(super) async fn apply_fault(
    state: &std::sync::Arc<State>,
    request: Request<Incoming>,
    action: Action,
) -> std::io::Result<Response<Body>> {
    match action {
        Action::Throttle => Ok(error_response(request.uri().path(), None)),
        Action::Error(status) => Ok(error_response(request.uri().path(), Some(status))),
        Action::Delay(time) => {
            tokio::time::sleep(time).await;
            Ok(super::answer(state, request).await)
        }
        Action::ExpireUploads | Action::ExpireTokens => {
            let state_there = std::sync::Arc::clone(state);
            let expired = tokio::task::spawn_blocking(move || expire(&state_there, action)).await;
            match expired {
                Ok(Ok(())) => Ok(super::answer(state, request).await),
                _ => Err(std::io::Error::other("nothing could be made to expire")),
            }
        }
        Action::Drop(_) | Action::Truncate(_) | Action::Stall(_) | Action::Corrupt => {
            let response = super::answer(state, request).await;
            match action {
                Action::Drop(0) => Err(std::io::ErrorKind::ConnectionReset.into()),
                _ => Ok(super::damaged_body::damaged(response, action)),
            }
        }
    }
}

/// The error of a fault, as whoever answers its path words it: S3 for downloads, the registry, or AWS's API. Without a
/// status the request is one too many.
fn error_response(path: &str, status: Option<u16>) -> Response<Body> {
    let (text, registry, api_code) = match status {
        None => ("Rate exceeded", (429, "TOOMANYREQUESTS"), "ThrottlingException"),
        Some(status) => ("a fault that was asked for", (status, "UNKNOWN"), "ServerException"),
    };
    if path.starts_with(DOWNLOADS) {
        status.map_or_else(download::slow_down, |status| download::failed(status, text))
    } else if path.starts_with("/v2") {
        registry_error(registry.0, registry.1, text)
    } else {
        let error = ApiError::new(api_code, text);
        response::api_error(ApiError { status: status.unwrap_or(error.status), ..error })
    }
}

fn registry_error(status: u16, code: &'static str, text: &str) -> Response<Body> {
    let body = OciError::new(status, code, text).body();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response::json(status, "application/json", &json!(body))
}

fn expire(state: &State, action: Action) -> Result<(), ApiError> {
    Ok(state.local.write(|transaction| match action {
        Action::ExpireUploads => uploads::expire_all(transaction),
        _ => token::expire_all(transaction),
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let rule: Rule =
            "UploadLayerPart,drop=7,count=3,after=1,every=3,probability=0.5,seed=9".parse().unwrap();
        let expected = Rule {
            target: "UploadLayerPart".to_owned(),
            action: Action::Drop(7),
            count: 3,
            after: 1,
            every: 3,
            probability: 0.5,
            seed: 9,
        };
        assert_eq!(rule, expected);
        for wrong in [
            "",
            "a",
            "a,b",
            "a,drop",
            "a,error=200",
            "a,throttle,x",
            "a,throttle,count=x",
            "a,throttle,every=0",
            "a,throttle,probability=2",
        ] {
            assert!(wrong.parse::<Rule>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn rules_strike_as_often_as_they_say() {
        let struck = |rule: &str, path: &str| -> Vec<bool> {
            let faults = FaultRules::new(vec![rule.parse().unwrap()]);
            (0..6).map(|_| faults.strike("PutImage", &Method::POST, path).is_some()).collect()
        };
        assert_eq!(
            struck("PutImage,throttle,after=1,count=2", "/"),
            [false, true, true, false, false, false]
        );
        assert_eq!(struck("*,throttle,after=1,every=2", "/"), [false, false, true, false, true, false]);
        assert_eq!(struck("/v2/,throttle", "/"), [false; 6]);
        assert_eq!(struck("/v2/,throttle", "/v2/a"), [true; 6]);
        assert_eq!(struck("POST /v2/,throttle", "/v2/a"), [true; 6]);
        assert_eq!(struck("*,throttle,probability=0", "/"), [false; 6]);
        assert_eq!(
            struck("*,throttle,probability=0.5,seed=1", "/"),
            struck("*,throttle,probability=0.5,seed=1", "/")
        );
    }
}
