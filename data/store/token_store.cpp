#include "data/store/token_store.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "data/store/hdf5_handle.h"
#include "data/store/token_store_layout.h"
#include "src/core/error.h"

namespace longspan {

namespace fs = std::filesystem;
namespace layout = token_store_layout;

namespace {

[[noreturn]] void damaged(const std::string& path, const std::string& what) {
  fail(ExitCode::kData, "{}: the token store is damaged: {}; make it again with longspan prepare",
       path, what);
}

Hdf5Handle open_file(const std::string& path) {
  std::error_code status;
  if (!fs::exists(path, status)) fail(ExitCode::kData, "{}: no such token store", path);
  const bool is_file = fs::is_regular_file(path, status);  // of a pipe HDF5 would wait for ever
  if (!is_file || H5Fis_hdf5(path.c_str()) <= 0) {
    fail(ExitCode::kData, "{}: is no token store (no HDF5 file); make one with longspan prepare",
         path);
  }
  Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file.valid()) damaged(path, hdf5_reason());
  return file;
}

int64_t read_number(hid_t file, const char* name, const std::string& path) {
  Hdf5Handle attribute(H5Aopen(file, name, H5P_DEFAULT), H5Aclose);
  int64_t value = 0;
  Hdf5Handle space(attribute.valid() ? H5Aget_space(attribute.id()) : -1, H5Sclose);
  if (!space.valid() || H5Sget_simple_extent_npoints(space.id()) != 1 ||
      H5Aread(attribute.id(), H5T_NATIVE_INT64, &value) < 0) {
    damaged(path, fmt::format("attribute {}: {}", name, hdf5_reason()));
  }
  return value;
}

std::string read_string(hid_t file, const char* name, const std::string& path) {
  constexpr size_t kLongest = 4096;
  Hdf5Handle attribute(H5Aopen(file, name, H5P_DEFAULT), H5Aclose);
  if (!attribute.valid()) damaged(path, fmt::format("attribute {}: {}", name, hdf5_reason()));
  Hdf5Handle type(H5Aget_type(attribute.id()), H5Tclose);
  Hdf5Handle space(H5Aget_space(attribute.id()), H5Sclose);
  size_t size = H5Tget_size(type.id());
  if (H5Tget_class(type.id()) != H5T_STRING || H5Tis_variable_str(type.id()) > 0 || size == 0 ||
      size > kLongest || H5Sget_simple_extent_npoints(space.id()) != 1) {
    damaged(path, fmt::format("attribute {} is no short string", name));
  }
  std::string value(size, '\0');
  if (H5Aread(attribute.id(), type.id(), value.data()) < 0) {
    damaged(path, fmt::format("attribute {}: {}", name, hdf5_reason()));
  }
  return value.c_str();
}

/// A dataset of one dimension, read in runs.
template <class T>
class Dataset {
 public:
  /// `sparse`: what was never written takes no bytes, so `size` is for the caller to look at.
  Dataset(hid_t file, const char* name, hid_t memory_type, const std::string& path,
          bool sparse = false)
      : path_(path), name_(name), memory_type_(memory_type) {
    // A sequence of 100 K tokens spans two or three chunks; keep those that neighbours share.
    constexpr size_t kCacheBytes = 16 << 20, kCacheSlots = 521;
    Hdf5Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
    H5Pset_chunk_cache(access.id(), kCacheSlots, kCacheBytes, H5D_CHUNK_CACHE_W0_DEFAULT);
    dataset_ = {H5Dopen2(file, name, access.id()), H5Dclose};
    if (!dataset_.valid()) fail_reading();
    Hdf5Handle space(H5Dget_space(dataset_.id()), H5Sclose);
    Hdf5Handle type(H5Dget_type(dataset_.id()), H5Tclose);
    hsize_t size = 0;
    if (H5Sget_simple_extent_ndims(space.id()) != 1 ||
        H5Sget_simple_extent_dims(space.id(), &size, nullptr) != 1 ||
        H5Tget_class(type.id()) != H5T_INTEGER || H5Tget_size(type.id()) != sizeof(T)) {
      damaged(path_, fmt::format("{} has the wrong shape or type", name_));
    }
    size_ = static_cast<int64_t>(size);
    if (!sparse) require_stored_bytes();
  }

  int64_t size() const { return size_; }
  void read(int64_t offset, int64_t count, T* values) const {
    if (count == 0) return;
    const auto begin = static_cast<hsize_t>(offset), length = static_cast<hsize_t>(count);
    Hdf5Handle from(H5Dget_space(dataset_.id()), H5Sclose);
    Hdf5Handle to(H5Screate_simple(1, &length, nullptr), H5Sclose);
    if (H5Sselect_hyperslab(from.id(), H5S_SELECT_SET, &begin, nullptr, &length, nullptr) < 0 ||
        H5Dread(dataset_.id(), memory_type_, to.id(), from.id(), H5P_DEFAULT, values) < 0) {
      fail_reading();
    }
  }

 private:
  // Deflate makes data at most 1032 times smaller: a larger claim is no reason to allocate.
  void require_stored_bytes() const {
    constexpr double kMostDeflated = 1032;
    auto stored = static_cast<double>(H5Dget_storage_size(dataset_.id()));
    if (static_cast<double>(size_) * sizeof(T) > stored * kMostDeflated) {
      damaged(path_, fmt::format("{} claims {} values in {} bytes", name_, size_, stored));
    }
  }
  [[noreturn]] void fail_reading() const {
    damaged(path_, fmt::format("{}: {}", name_, hdf5_reason()));
  }

  std::string path_, name_;
  hid_t memory_type_;
  Hdf5Handle dataset_;
  int64_t size_ = 0;
};

std::vector<StoredDocument> read_documents(hid_t file, int64_t tokens, const std::string& path) {
  Dataset<int64_t> offset_data(file, layout::kDocumentOffsets, H5T_NATIVE_INT64, path);
  Dataset<uint8_t> name_data(file, layout::kDocumentNames, H5T_NATIVE_UINT8, path);
  std::vector<int64_t> offsets(static_cast<size_t>(offset_data.size()));
  offset_data.read(0, offset_data.size(), offsets.data());
  std::string names(static_cast<size_t>(name_data.size()), '\0');
  name_data.read(0, name_data.size(), reinterpret_cast<uint8_t*>(names.data()));
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != tokens ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    damaged(path, fmt::format("{} do not run from 0 to {}", layout::kDocumentOffsets, tokens));
  }
  if (std::count(names.begin(), names.end(), '\0') + 1 != static_cast<ptrdiff_t>(offsets.size())) {
    damaged(path, fmt::format("{} are not one a document", layout::kDocumentNames));
  }
  std::vector<StoredDocument> documents;
  documents.reserve(offsets.size() - 1);
  const char* name = names.c_str();
  for (size_t i = 0; i + 1 < offsets.size(); ++i, name += std::strlen(name) + 1) {
    documents.push_back({name, offsets[i], offsets[i + 1] - offsets[i]});
  }
  return documents;
}

}  // namespace

struct TokenStore::File {
  explicit File(const std::string& where)
      : path(where),
        file(open_file(path)),
        info(read_info()),
        tokens(file.id(), layout::kTokens, H5T_NATIVE_INT32, path) {
    documents = read_documents(file.id(), tokens.size(), path);
    if (H5Lexists(file.id(), layout::kIsLabel, H5P_DEFAULT) > 0) {
      is_label.emplace(file.id(), layout::kIsLabel, H5T_NATIVE_UINT8, path, /*sparse=*/true);
      if (is_label->size() != tokens.size()) {
        damaged(path, fmt::format("{} has {} values for {} tokens", layout::kIsLabel,
                                  is_label->size(), tokens.size()));
      }
    }
    info.all_labels = !is_label;
    info.tokens = tokens.size();
    info.documents = static_cast<int64_t>(documents.size());
  }

  TokenStoreInfo read_info() const {
    if (H5Aexists(file.id(), layout::kFormatKey) <= 0 ||
        read_string(file.id(), layout::kFormatKey, path) != layout::kFormat) {
      fail(ExitCode::kData, "{}: is HDF5, but no token store; make one with longspan prepare",
           path);
    }
    TokenStoreInfo read;
    read.format_version = read_number(file.id(), layout::kFormatVersionKey, path);
    if (read.format_version < layout::kOldestFormatVersion ||
        read.format_version > layout::kFormatVersion) {
      fail(ExitCode::kData,
           "{}: token store of format version {}, this longspan reads {} to {}; make it "
           "again with longspan prepare, or update longspan",
           path, read.format_version, layout::kOldestFormatVersion, layout::kFormatVersion);
    }
    read.tokenizer_fingerprint = read_string(file.id(), layout::kTokenizerFingerprintKey, path);
    read.vocab_size = read_number(file.id(), layout::kVocabSizeKey, path);
    return read;
  }

  std::string path;
  Hdf5Handle file;
  TokenStoreInfo info;
  Dataset<int32_t> tokens;
  std::optional<Dataset<uint8_t>> is_label;
  std::vector<StoredDocument> documents;
};

TokenStore::TokenStore(const fs::path& path) {
  Hdf5Lock lock;
  file_ = std::make_unique<File>(path.string());
}

TokenStore::~TokenStore() {
  Hdf5Lock lock;
  file_.reset();
}

const std::string& TokenStore::path() const { return file_->path; }
const TokenStoreInfo& TokenStore::info() const { return file_->info; }
const std::vector<StoredDocument>& TokenStore::documents() const { return file_->documents; }

void TokenStore::require_inside(int64_t offset, int64_t count) const {
  if (offset < 0 || count < 0 || offset > info().tokens || count > info().tokens - offset) {
    fail(ExitCode::kData, "{}: tokens {} to {} asked for, the store has {}", file_->path, offset,
         offset + count, info().tokens);
  }
}

std::vector<int32_t> TokenStore::read(int64_t offset, int64_t count) const {
  require_inside(offset, count);
  std::vector<int32_t> ids(static_cast<size_t>(count));
  Hdf5Lock lock;
  file_->tokens.read(offset, count, ids.data());
  for (int32_t id : ids) {
    if (id < 0 || id >= info().vocab_size) {
      damaged(file_->path, fmt::format("token id {} in a vocabulary of {}", id, info().vocab_size));
    }
  }
  return ids;
}

std::vector<uint8_t> TokenStore::read_is_label(int64_t offset, int64_t count) const {
  require_inside(offset, count);
  std::vector<uint8_t> flags(static_cast<size_t>(count), 1);
  if (info().all_labels) return flags;
  Hdf5Lock lock;
  file_->is_label->read(offset, count, flags.data());
  return flags;
}

}  // namespace longspan
