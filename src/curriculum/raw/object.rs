//! Macros that define a mapping or a set of words once: the type, its reader and its schema.

/// A mapping with known keys. Doc comments are the schema's descriptions; `required` keys must be there.
macro_rules! object {
    (
        $(#[doc = $doc:literal])*
        $name:ident, $expecting:literal {
            $( $(#[doc = $field_doc:literal])* $need:ident $field:ident : $ty:ty ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $( $(#[doc = $field_doc])* pub $field: $crate::curriculum::raw::Slot<$ty>, )*
        }

        impl $name {
            /// The keys in the order they are documented.
            const KEYS: &'static [&'static str] = &[$( object!(@key $field) ),*];
        }

        impl $crate::curriculum::raw::Raw for $name {
            fn expecting() -> std::borrow::Cow<'static, str> {
                $expecting.into()
            }

            fn read(
                node: &$crate::curriculum::yaml::Node,
                out: &mut $crate::curriculum::diagnostics::Diagnostics,
            ) -> Option<Self> {
                use $crate::curriculum::raw::{Slot, read};
                let $crate::curriculum::yaml::Value::Map(entries) = &node.value else {
                    out.push(read::mismatch::<Self>(node));
                    return None;
                };
                let mut this = Self { $( $field: Slot::Absent, )* };
                for (key, entry) in read::keyed(entries, Self::KEYS, "this mapping", out) {
                    $( if key == object!(@key $field) {
                        this.$field = Slot::read(entry, out);
                    } )*
                }
                $( object!(@need $need this $field node out); )*
                Some(this)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).trim_start_matches("Raw").into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut properties = serde_json::Map::new();
                #[allow(unused_mut, reason = "some mappings have no required key")]
                let mut required: Vec<serde_json::Value> = Vec::new();
                $(
                    let mut field = generator.subschema_for::<$ty>();
                    let words = concat!("" $(, $field_doc, "\n")*);
                    field.insert("description".to_owned(), $crate::curriculum::raw::scalars::prose(words).into());
                    properties.insert(object!(@key $field).to_owned(), field.into());
                    object!(@require $need required $field);
                )*
                let words = concat!("" $(, $doc, "\n")*);
                let mut schema = schemars::json_schema!({
                    "description": $crate::curriculum::raw::scalars::prose(words),
                    "type": "object",
                    "properties": properties,
                    "additionalProperties": false,
                });
                if !required.is_empty() {
                    schema.insert("required".to_owned(), required.into());
                }
                schema
            }
        }
    };
    // `r#where` is the key `where`.
    (@key $field:ident) => {
        match stringify!($field).as_bytes() {
            [b'r', b'#', ..] => stringify!($field).split_at(2).1,
            _ => stringify!($field),
        }
    };
    (@need required $this:ident $field:ident $node:ident $out:ident) => {
        if $this.$field.is_absent() {
            let place = $node.at.start..$node.at.start;
            $out.push($crate::curriculum::diagnostics::Diagnostic::error(
                place,
                concat!("the key `", stringify!($field), "` is missing"),
            ));
        }
    };
    (@need optional $this:ident $field:ident $node:ident $out:ident) => {};
    (@require required $required:ident $field:ident) => { $required.push(object!(@key $field).into()); };
    (@require optional $required:ident $field:ident) => {};
}

/// A value that is one of a few words.
macro_rules! words {
    ($ty:ty, $schema:literal, $doc:literal { $( $word:literal => $value:expr ),* $(,)? }) => {
        impl $crate::curriculum::raw::Raw for $ty {
            fn expecting() -> std::borrow::Cow<'static, str> {
                $crate::curriculum::names::either(&[$( $word ),*]).into()
            }

            fn read(
                node: &$crate::curriculum::yaml::Node,
                out: &mut $crate::curriculum::diagnostics::Diagnostics,
            ) -> Option<Self> {
                use $crate::curriculum::raw::read;
                let $crate::curriculum::yaml::Value::Text(text) = &node.value else {
                    out.push(read::mismatch::<Self>(node));
                    return None;
                };
                match text.as_str() {
                    $( $word => Some($value), )*
                    _ => {
                        let near = $crate::curriculum::names::nearest(text, [$( $word ),*]);
                        out.push(
                            $crate::curriculum::diagnostics::Diagnostic::error(
                                node.at.clone(),
                                format!("expected {}, found `{text}`", Self::expecting()),
                            )
                            .maybe_hint(near.map(|near| format!("did you mean `{near}`?"))),
                        );
                        None
                    }
                }
            }
        }

        impl schemars::JsonSchema for $ty {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "description": $doc, "enum": [$( $word ),*] })
            }
        }
    };
}
