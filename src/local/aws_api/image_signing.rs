//! Signing: the registry's rules, and the signing status of images.
//!
//! The service signs through AWS Signer, which is not part of this program. An image that a rule covers is therefore
//! shown as one whose signing failed, with that reason; it is never shown as signed.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::responses::given;
use crate::local::core::image_id::ImageId;
use crate::local::core::image_signing::signing_profiles;
use crate::local::core::repository::Repository;
use crate::local::core::settings::{Kind, Setting};

const REASON: &str = "The embedded ECR has no AWS Signer and cannot sign images.";

/// PutSigningConfiguration
pub(in crate::local) fn put(call: &Call<'_>) -> Result<Value, ApiError> {
    let configuration = given(call, "signingConfiguration");
    call.write(|transaction| {
        Ok(Setting::put(transaction, &call.scope(), Kind::Signing, "", &configuration, call.now)?)
    })?;
    Ok(json!({ "signingConfiguration": configuration }))
}

/// GetSigningConfiguration
pub(in crate::local) fn get(call: &Call<'_>) -> Result<Value, ApiError> {
    call.read(|connection| kept(call, connection))
}

/// DeleteSigningConfiguration
pub(in crate::local) fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    call.write(|transaction| {
        let answer = kept(call, transaction)?;
        Setting::remove(transaction, &call.scope(), Kind::Signing, "")?;
        Ok(answer)
    })
}

pub(in crate::local) fn kept(call: &Call<'_>, connection: &Connection) -> Result<Value, ApiError> {
    let scope = call.scope();
    match Setting::get(connection, &scope, Kind::Signing, "")? {
        Some(kept) => {
            Ok(json!({ "registryId": scope.account, "signingConfiguration": kept.value::<Value>() }))
        }
        None => Err(ApiError::new(
            "SigningConfigurationNotFoundException",
            format!("Signing configuration does not exist in the registry with id '{}'", scope.account),
        )),
    }
}

/// DescribeImageSigningStatus
pub(in crate::local) fn describe(call: &Call<'_>) -> Result<Value, ApiError> {
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let id = ImageId::of(&given(call, "imageId"));
        let image = id.must(connection, &repository)?;
        let profiles = signing_profiles(connection, image.id)?.into_iter();
        let statuses = profiles.map(|profile| {
            json!({
                "signingProfileArn": profile,
                "failureCode": "SIGNER_UNAVAILABLE",
                "failureReason": REASON,
                "status": "FAILED",
            })
        });
        Ok(json!({
            "repositoryName": repository.name,
            "imageId": id.completed(&image),
            "registryId": repository.scope.account,
            "signingStatuses": statuses.collect::<Vec<_>>(),
        }))
    })
}
