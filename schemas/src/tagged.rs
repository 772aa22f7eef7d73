//! One macro for the enums that are told apart by a `type` field.
//!
//! serde's own tagged enums buffer their content, and a [`serde_json::value::RawValue`] inside fails there. So the tag
//! is read first and the variant is then read from the same text: payloads pass through untouched.

/// Declares an enum whose variants each wrap a struct of the same name, internally tagged by `type`.
macro_rules! tagged_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident($inner:ty),)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::schemars::JsonSchema)]
        #[serde(tag = "type")]
        $vis enum $name { $($(#[$vmeta])* $variant($inner),)+ }

        impl $name {
            /// The names that the `type` field may hold.
            pub const TYPES: &'static [&'static str] = &[$(stringify!($variant)),+];

            /// The value of the `type` field.
            #[must_use]
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($variant),)+ }
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use ::serde::de::Error as _;
                let raw = Box::<::serde_json::value::RawValue>::deserialize(deserializer)?;
                let tag = $crate::tagged::read_tag(raw.get()).map_err(D::Error::custom)?;
                match Self::from_tagged(tag.as_ref(), raw.get()) {
                    Some(read) => read.map_err(D::Error::custom),
                    None => Err(D::Error::unknown_variant(tag.as_ref(), Self::TYPES)),
                }
            }
        }

        impl $name {
            /// Reads the variant of a `type` that was read already from the same text; none if there is no such one.
            fn from_tagged(tag: &str, text: &str) -> Option<Result<Self, ::serde_json::Error>> {
                match tag {
                    $(stringify!($variant) => Some(::serde_json::from_str(text).map(Self::$variant)),)+
                    _ => None,
                }
            }
        }

        $(impl From<$inner> for $name { fn from(inner: $inner) -> Self { Self::$variant(inner) } })+
    };
}

pub(crate) use tagged_enum;

use std::borrow::Cow;

#[derive(serde::Deserialize)]
struct Tag<'a> {
    #[serde(borrow, rename = "type")]
    name: Cow<'a, str>,
}

/// Reads only the `type` field of a JSON object.
pub(crate) fn read_tag(json: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    let tag: Tag<'_> = serde_json::from_str(json)?;
    // serde takes an array for a struct, too: its first element would be the type.
    if json.trim_start().starts_with('[') {
        return Err(serde::de::Error::custom("it is an array"));
    }
    Ok(tag.name)
}
