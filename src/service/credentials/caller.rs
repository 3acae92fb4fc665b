//! Identity of credentials, from the Security Token Service. No policy can deny the question.

use super::super::error::Error;
use super::super::transport::Transport;
use super::CredentialChain;
use super::role::refused;

/// The principal behind credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The twelve digits of its account.
    pub account: String,
    /// Its ARN; for a role that of the session.
    pub arn: String,
}

impl CredentialChain {
    /// Asks GetCallerIdentity.
    pub(in crate::service) async fn caller_identity(
        &self,
        http: &Transport,
    ) -> Result<CallerIdentity, Error> {
        let credentials = self.credentials(http).await?;
        let (client, count) = self.security_token_service(http, Some(credentials))?;
        let answer = client.get_caller_identity().send().await;
        let answer = answer.map_err(|error| refused("GetCallerIdentity", &count, &error))?;
        let nothing = || Error::Transport("GetCallerIdentity answered without an identity".to_owned());
        Ok(CallerIdentity {
            account: answer.account.ok_or_else(nothing)?,
            arn: answer.arn.ok_or_else(nothing)?,
        })
    }

    /// Describes the source of the credentials; `None` if there are none.
    pub(in crate::service) async fn source(&self, http: &Transport) -> Result<Option<String>, Error> {
        let place = self.place(http).await?;
        Ok(place.as_ref().map(super::CredentialSource::described))
    }
}
