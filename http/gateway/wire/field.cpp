#include "http/gateway/wire/field.hpp"

#include <cmath>

namespace sandy::http::gateway::wire {

namespace {

const nlohmann::json nothing;
const std::string no_text;

} // namespace

const nlohmann::json& field::value() const noexcept { return present() ? *value_ : nothing; }

field field::at(std::string_view name) const& {
  if (!present())
    return {nothing, *this, name, no_index};
  if (!value_->is_object()) {
    refuse("must be an object");
    return {nothing, *this, name, no_index};
  }
  auto found = value_->find(name);
  return {found == value_->end() ? nothing : *found, *this, name, no_index};
}

const std::string& field::text() const {
  if (!present())
    refuse("is required");
  return text_or_empty();
}

const std::string& field::text_or_empty() const {
  if (!present())
    return no_text;
  if (value_->is_string())
    return value_->get_ref<const std::string&>();
  refuse("must be a string");
  return no_text;
}

std::optional<double> field::number() const {
  if (!present())
    return std::nullopt;
  if (value_->is_number() && std::isfinite(value_->get<double>()))
    return value_->get<double>();
  refuse("must be a number");
  return std::nullopt;
}

std::optional<std::int64_t> field::whole(std::int64_t low) const {
  if (!present())
    return std::nullopt;
  auto fits = value_->is_number_unsigned()
                  ? value_->get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<std::int64_t>::max()}
                  : value_->is_number_integer();
  if (fits && value_->get<std::int64_t>() >= low)
    return value_->get<std::int64_t>();
  refuse("must be a whole number of at least " + std::to_string(low));
  return std::nullopt;
}

std::optional<bool> field::boolean() const {
  if (!present())
    return std::nullopt;
  if (value_->is_boolean())
    return value_->get<bool>();
  refuse("must be true or false");
  return std::nullopt;
}

bool field::object() const {
  if (!present())
    return false;
  if (!value_->is_object())
    refuse("must be an object");
  return value_->is_object();
}

void field::refuse(std::string_view what) const {
  if (!failed())
    *mistake_ = fail(errc::invalid_argument, path().append(" ").append(what));
}

std::string field::path() const {
  if (parent_ == nullptr)
    return "The request";
  auto out = parent_->parent_ == nullptr ? std::string{} : parent_->path();
  if (index_ != no_index)
    return out + '[' + std::to_string(index_) + ']';
  if (!out.empty())
    out += '.';
  return out.append(name_);
}

} // namespace sandy::http::gateway::wire
