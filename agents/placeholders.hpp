#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace sandy::agents {

/// What stands for `{name}` in the texts of a definition.
using values = std::map<std::string, std::string, std::less<>>;

/// The names that `text` refers to: of `{model}` and `{json:model}` both times `model`. A brace that does not
/// begin
/// `{[a-z_:]+}` is literal, so JSON text needs no escaping.
std::set<std::string> names_in(std::string_view text);

/// `text` with each `{name}` replaced by its value and each `{json:name}` by the value as a quoted JSON
/// string. Values are never looked through again. A name that `known` lacks stays as it is: definitions are
/// checked when they are read.
std::string filled(std::string_view text, const values& known);

} // namespace sandy::agents
