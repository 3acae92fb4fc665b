//! What the texts on the command line name. Completion goes by these types (`src/cli/complete/level.rs`); the texts are
//! read as they are, and the commands themselves refuse what is malformed.

use std::ops::Deref;

/// Defines a text of the command line.
macro_rules! text {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl Deref for $name {
            type Target = String;

            fn deref(&self) -> &String {
                &self.0
            }
        }
    };
}

text! {
    /// A repository or several: a name, with or without the registry's host, a glob, or `-` for standard input.
    RepositoryText
}

text! {
    /// An image or several: `[HOST/]REPOSITORY[:TAG|@DIGEST]`, or `-` for standard input.
    ReferenceText
}

text! {
    /// The name of a profile of the AWS configuration.
    ProfileName
}
