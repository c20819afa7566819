//! JSON objects in little code.

use serde_json::{Map, Value};

/// An object with these fields: `object! { "to": to, "n": 3 }`. The same as `json!({...})` for
/// plain fields, in less code, as that macro inlines an insertion per field.
#[macro_export]
macro_rules! object {
    { $($key:literal : $value:expr),* $(,)? } => {
        $crate::object_of(&mut [$(($key, $crate::Field::into_value($value))),*])
    };
}

/// What [`object!`] expands to: takes the values out of `fields`.
#[doc(hidden)]
#[must_use]
#[inline(never)]
pub fn object_of(fields: &mut [(&str, Value)]) -> Value {
    // One by one: collecting brings a sort and a bulk load of the map with it.
    let mut object = Map::new();
    for (key, value) in fields {
        object.insert((*key).into(), value.take());
    }
    Value::Object(object)
}

/// What can be a field of an [`object!`].
pub trait Field {
    /// The field's value.
    fn into_value(self) -> Value;
}

macro_rules! field {
    ($($type:ty),*) => {
        $(impl Field for $type {
            fn into_value(self) -> Value {
                Value::from(self)
            }
        })*
    };
}

field!(Value, &str, String, bool, u64, usize, Vec<Value>, Vec<String>);

impl Field for &Value {
    fn into_value(self) -> Value {
        self.clone()
    }
}

impl Field for &String {
    fn into_value(self) -> Value {
        Value::from(self.as_str())
    }
}

impl Field for &[Value] {
    fn into_value(self) -> Value {
        Value::Array(self.to_vec())
    }
}

impl Field for &[&str] {
    fn into_value(self) -> Value {
        Value::Array(self.iter().map(|text| Value::from(*text)).collect())
    }
}

impl Field for &[String] {
    fn into_value(self) -> Value {
        Value::Array(self.iter().map(Field::into_value).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Value, json};

    #[test]
    fn an_object_is_what_json_makes_of_it() {
        let (text, rows) = (String::from("a\"b"), [json!(1), Value::Null]);
        let ours = object! {
            "text": &text, "rows": &rows[..], "n": 7_u64, "yes": true, "in": json!({ "a": [] }),
        };
        let theirs =
            json!({ "text": text, "rows": rows, "n": 7_u64, "yes": true, "in": { "a": [] } });
        assert_eq!(ours, theirs);
        assert_eq!(object! {}, json!({}));
    }
}
