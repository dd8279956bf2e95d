#pragma once

#include <span>

#include "tools/support/command.h"

namespace longspan {

/// All commands, in the order in which a user meets them.
std::span<const Command* const> commands();

extern const Command kCardCommand;
extern const Command kCompletionCommand;
extern const Command kConvertCommand;
extern const Command kDataNeedlesCommand;
extern const Command kDataScoreCommand;
extern const Command kDiffCommand;
extern const Command kEvalCommand;
extern const Command kGenerateCommand;
extern const Command kInspectCommand;
extern const Command kLogitsCommand;
extern const Command kLongropeSearchCommand;
extern const Command kManCommand;
extern const Command kMergeCommand;
extern const Command kPlanCommand;
extern const Command kPrepareCommand;
extern const Command kPullCommand;
extern const Command kReportCommand;
extern const Command kSchemaCommand;
extern const Command kTokenizeCommand;
extern const Command kTrainCommand;
extern const Command kValidateCommand;
extern const Command kVerifyCommand;

}  // namespace longspan
