#pragma once

#include "messages/error.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace sandy::http::gateway::wire {

/// A value of a request and its place in it. Reading one of a wrong type records the first such mistake, an
/// invalid_argument that names the place ("messages[2].content[0].text must be a string"), and reads as
/// absent; callers look at the mistake once, at their end. null counts as absent. Refers to the request, to
/// the mistake, and to the field that it was taken from: all must outlive it.
class field {
public:
  /// The whole request.
  field(const nlohmann::json& request, caf::error& mistake) noexcept
      : value_{&request}
      , mistake_{&mistake} {}

  bool present() const noexcept { return value_ != nullptr; }
  bool is_text() const noexcept { return present() && value_->is_string(); }
  bool is_list() const noexcept { return present() && value_->is_array(); }
  bool is_object() const noexcept { return present() && value_->is_object(); }
  /// What was sent; null when it is absent.
  const nlohmann::json& value() const noexcept;

  /// The member of that name; a mistake if this is no object.
  field at(std::string_view name) const&;
  field at(std::string_view name) const&& = delete; // the member refers to its object

  /// A text that must be there; empty after a mistake.
  const std::string& text() const;
  /// A text that may be missing; then it is empty.
  const std::string& text_or_empty() const;
  std::optional<double> number() const;
  /// A whole number of at least `low`.
  std::optional<std::int64_t> whole(std::int64_t low) const;
  std::optional<bool> boolean() const;
  /// An object or absent; false is a mistake or absence.
  bool object() const;

  /// Calls `use(field)` with each element of a list, until the first mistake; an absent list has none.
  template <class Use>
  void each(Use&& use) const {
    if (!present())
      return;
    if (!value_->is_array())
      return refuse("must be a list");
    for (std::size_t i = 0; i < value_->size() && !*mistake_; ++i)
      use(field{(*value_)[i], *this, {}, i});
  }

  /// Records a mistake in this place, unless there is one already. @param what "must be ..."
  void refuse(std::string_view what) const;
  bool failed() const noexcept { return static_cast<bool>(*mistake_); }

private:
  static constexpr auto no_index = std::numeric_limits<std::size_t>::max();

  field(const nlohmann::json& value, const field& parent, std::string_view name, std::size_t index) noexcept
      : value_{value.is_null() ? nullptr : &value}
      , mistake_{parent.mistake_}
      , parent_{&parent}
      , name_{name}
      , index_{index} {}

  std::string path() const;

  const nlohmann::json* value_;
  caf::error* mistake_;
  const field* parent_ = nullptr;
  std::string_view name_;
  std::size_t index_ = no_index;
};

} // namespace sandy::http::gateway::wire
