"""Lists of names that the audit knows: each name of the field, as its library means it."""

import pytest

from xent.audit import Config, audit

# Samples for training and for testing, as the data sets' own pages and papers give them.
PUBLISHED = {
    "MNIST": (60_000, 10_000),
    "FashionMNIST": (60_000, 10_000),
    "KMNIST": (60_000, 10_000),
    "CIFAR10": (50_000, 10_000),
    "CIFAR100": (50_000, 10_000),
    "SVHN": (73_257, 26_032),
    "USPS": (7_291, 2_007),
}
LOOP = """\
import torch
import torch.nn as nn
import torchvision
from somewhere import model

criterion = nn.CrossEntropyLoss()
"""
MEANS = """\
with torch.no_grad():
    total = 0.0
    for x, y in loader:
        total += criterion(model(x), y).item()
"""


def report_of(code, folder):
    script = folder / "train.py"
    script.write_text(LOOP + code)
    return audit(script, config=Config())


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("part", [0, 1, 2], ids=["train", "test", "default"])
def test_sizes_of_known_data_sets(name, part, tmp_path):
    argument = ["True", "False", ""] if name != "SVHN" else ["'train'", "split='test'", ""]
    code = f"""\
loader = torch.utils.data.DataLoader(torchvision.datasets.{name}("data", {argument[part]}), 64)
{MEANS}
print(total / len(loader))
"""
    whole = PUBLISHED[name][part == 1]
    (found,) = report_of(code, tmp_path).findings
    assert found.rule == "X402"
    assert found.seen == f"{whole // 64} batches of 64, 1 of {whole % 64}"


SHOWS = """\
import logging
import sys
import click
import mlflow
import wandb
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from somewhere import history, logger, run, test_loader as loader

bar, writer = tqdm(loader), SummaryWriter()
"""
BESIDE_ITS_NAME = [
    "print('mean loss', total)",
    "logging.debug('mean loss %.3f', total)",
    "logging.info('mean loss %.3f', total)",
    "logging.warning('mean loss %.3f', total)",
    "logging.error('mean loss %.3f', total)",
    "logging.critical('mean loss %.3f', total)",
    "logging.exception('mean loss %.3f', total)",
    "logging.log(logging.INFO, 'mean loss %.3f', total)",
    "logger.info('epoch %d, mean loss %.3f', 3, total)",
    "bar.set_postfix(mean_loss=total)",
    "bar.set_postfix({'mean_loss': total})",
    "writer.add_scalar('mean loss', total, 3)",
    "writer.add_scalars('loss', {'mean loss': total}, 3)",
    "wandb.log({'mean loss': total})",
    "mlflow.log_metric('mean loss', total)",
    "mlflow.log_metrics({'mean loss': total})",
    "run.log_dict({'mean loss': total})",
    "history.update(mean_loss=total)",
    "history.update({'mean loss': total})",
]


@pytest.mark.parametrize("call", BESIDE_ITS_NAME)
def test_calls_that_show_a_number_beside_its_name(call, tmp_path):
    (found,) = report_of(f"{SHOWS}{MEANS}\n{call}\n", tmp_path).findings
    assert found.rule == "X404"
    assert "mean loss" in found.message or "mean_loss" in found.message


ALONE = [
    "print(loss)",
    "click.echo(loss)",
    "sys.stdout.write(str(loss))",
    "tqdm.write(str(loss))",
    "bar.set_description(str(loss))",
    "bar.set_description_str(str(loss))",
    "bar.set_postfix_str(str(loss))",
    "history.append(loss)",
]


@pytest.mark.parametrize("call", ALONE)
def test_calls_that_show_a_number(call, tmp_path):
    means = MEANS.replace("total +=", "loss =")
    (found,) = report_of(f"{SHOWS}{means}\n{call}\n", tmp_path).findings
    assert found.rule == "X406"


@pytest.mark.parametrize(
    "name", ["loader", "test_dl", "dl_test", "data_iter", "batches", "iterator"]
)
def test_names_of_loaders_that_nobody_sees_made(name, tmp_path):
    code = f"from somewhere import {name}\nloader = {name}\n{MEANS}\nprint(total / len(loader))\n"
    (found,) = report_of(code, tmp_path).findings
    assert found.rule == "X402"
