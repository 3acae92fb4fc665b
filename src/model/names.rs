//! Names on the command line, derived from the names in the model.

/// `DescribeImages` and `repositoryName` as the command line writes them: `describe-images`, `repository-name`.
///
/// A hyphen goes before each capital that follows a lower-case letter or a digit. For every name of both services
/// this equals botocore's longer rule, `xform_name` (compared over the whole model).
pub fn kebab(name: &str) -> String {
    let mut result = String::with_capacity(name.len() + 8);
    let mut previous = None::<char>;
    for character in name.chars() {
        let follows_small = previous.is_some_and(|p| p.is_ascii_lowercase() || p.is_ascii_digit());
        if character.is_ascii_uppercase() && follows_small {
            result.push('-');
        }
        result.push(character.to_ascii_lowercase());
        previous = Some(character);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::kebab;

    #[test]
    fn names_become_commands_and_options() {
        assert_eq!(kebab("BatchCheckLayerAvailability"), "batch-check-layer-availability");
        assert_eq!(kebab("registryId"), "registry-id");
        assert_eq!(kebab("Key"), "key");
    }
}
