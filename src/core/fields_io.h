#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/fields.h"
#include "src/core/json.h"

namespace longspan {

/// The smallest and the largest number that a key takes.
template <class T>
struct Range {
  T low, high;
};

/// What else there is to say of a key.
struct FieldTraits {
  bool required = false;
  std::string_view otherwise = {};  // what holds without the key, where its value does not say it
  bool written = true;              // false: writing leaves it out
  bool* none = nullptr;  // of a map: the word `none` may stand in its place, and sets this
};

/// The word that may stand in place of a map; see FieldTraits::none.
inline constexpr const char* kNoMap = "none";

/// A key, and what is said of it.
struct FieldKey {
  std::string_view name, meaning;
  FieldTraits traits;
};

class FieldsSchema;

/// A map whose other keys depend on one of them, as those of `rope` on rope_type.
struct FieldVariants {
  std::vector<std::string> names;
  std::function<void(Fields)> read;
  std::function<Json()> write;  // null leaves the key out
  std::function<void(const std::string& name, FieldsSchema&)> describe;
  Json other_form = nullptr;  // the JSON Schema of what may stand there instead of a map, or null
};

/// Goes through the keys of one map of a recipe to read it, to write it or to describe it. Beside
/// each struct of options stands `fields(FieldsIo&, Options&)`, which names each key once, with
/// its bounds and its meaning in a sentence (Markdown). The value that a struct brings along is the
/// key's default.
class FieldsIo {
 public:
  using Key = std::string_view;
  using Text = std::string_view;

  virtual ~FieldsIo() = default;

  void flag(Key key, bool& value, Text meaning, const FieldTraits& traits = {});
  void whole(Key key, int64_t& value, Range<int64_t> range, Text meaning,
             const FieldTraits& traits = {});
  void whole(Key key, std::optional<int64_t>& value, Range<int64_t> range, Text meaning,
             const FieldTraits& traits = {});
  void number(Key key, double& value, Range<double> range, Text meaning,
              const FieldTraits& traits = {});
  void number(Key key, std::optional<double>& value, Range<double> range, Text meaning,
              const FieldTraits& traits = {});
  /// A finite number above 0.
  void positive(Key key, double& value, Text meaning, const FieldTraits& traits = {});
  void positive(Key key, std::optional<double>& value, Text meaning,
                const FieldTraits& traits = {});
  /// One that is required must not be empty either.
  void text(Key key, std::string& value, Text meaning, const FieldTraits& traits = {});
  void texts(Key key, std::vector<std::string>& value, Text meaning,
             const FieldTraits& traits = {});
  void choice(Key key, std::string& value, const std::vector<std::string>& allowed, Text meaning,
              const FieldTraits& traits = {});

  /// The map under `key`.
  template <class Options>
  void map(Key key, Options& options, const FieldTraits& traits = {}) {
    child({key, {}, traits}, [&](FieldsIo& io) { fields(io, options); });
  }
  /// The maps of the list under `key`; each that is read starts as `start`.
  template <class Options>
  void maps(Key key, std::vector<Options>& list, const Options& start, Text meaning,
            const FieldTraits& traits = {}) {
    const auto entry = [&](FieldsIo& io, size_t i) {
      if (i == list.size()) list.push_back(start);
      fields(io, list[i]);
    };
    children({key, meaning, traits}, list.size(), entry);
  }
  void variants(Key key, const FieldVariants& variants, Text meaning,
                const FieldTraits& traits = {}) {
    one_of({key, meaning, traits}, variants);
  }

  /// A value whose form is its own: nothing where a map is read, for the caller does that by
  /// reading(). `schema` is its JSON Schema.
  void put(Key key, const Json& value, const Json& schema, Text meaning,
           const FieldTraits& traits = {}) {
    put_value({key, meaning, traits}, value, schema);
  }
  /// A key that may be there and says nothing to us.
  void ignored(Key key, Text meaning);
  /// A paragraph on the map as a whole.
  virtual void prose(Text text);
  /// At least one of `keys` must be there, says the schema. Who reads the map checks it.
  virtual void require_one_of(const std::vector<std::string>& keys);

  /// The map that is read, else null.
  virtual Fields* reading() { return nullptr; }
  virtual bool writing() const { return false; }
  /// Whether the map that is read has the key.
  bool given(Key key);
  /// An error of the map that is read.
  void error(Key key, const std::string& message);

 protected:
  using Body = std::function<void(FieldsIo&)>;
  using EntryBody = std::function<void(FieldsIo&, size_t entry)>;

  virtual void put_value(const FieldKey& key, const Json& value, const Json& schema);
  virtual void child(const FieldKey& key, const Body& body) = 0;
  virtual void children(const FieldKey& key, size_t size, const EntryBody& body) = 0;
  virtual void one_of(const FieldKey& key, const FieldVariants& variants) = 0;
};

}  // namespace longspan
