"""What the doctor reads in the options of a pix2pix program."""

import shutil

import pytest

from tests.image.doctor.looking import GRAY8, OPTIONS, codes, examine, run
from vocoder.image.codec.palette import Hue
from vocoder.image.doctor.options import NOTE, PROBLEM, examine_options


class TestOptions:
    def test_good_ones_need_no_change(self):
        for name in ("good_train_opt.txt", "good_test_opt.txt"):
            assert codes(examine_options(OPTIONS / name)) == set()
            assert run(str(OPTIONS / name)) == 0

    def test_defaults_of_training(self):
        findings = examine_options(OPTIONS / "default_train_opt.txt")
        assert codes(findings) == {"flip", "jitter"}
        assert any("--no_flip" in finding.fix for finding in findings)
        assert any("--preprocess none" in finding.fix for finding in findings)
        assert any("286" in finding.found and "1.5 dB" in finding.found for finding in findings)
        assert run(str(OPTIONS / "default_train_opt.txt")) == 2

    def test_defaults_of_testing(self):
        findings = examine_options(OPTIONS / "default_test_opt.txt")
        assert codes(findings) == {"resize", "cap"}
        # test.py sets no_flip itself after the options were written down
        assert codes(findings, NOTE) == {"flip"}

    def test_what_the_data_set_says_is_taken_into_account(self):
        path = OPTIONS / "good_test_opt.txt"
        assert examine_options(path, n_tiles={"test": 2000}, tile_size=(256, 256)) == []
        (capped,) = examine_options(path, n_tiles={"test": 2001}, tile_size=(256, 256))
        assert capped.code == "cap"
        assert "--num_test 2001" in capped.fix
        (sized,) = examine_options(path, tile_size=(256, 100))
        assert sized.code == "size"
        resized = examine_options(OPTIONS / "default_test_opt.txt", tile_size=(512, 512))
        assert "resize" in codes(resized)
        same = examine_options(OPTIONS / "default_test_opt.txt", tile_size=(256, 256))
        assert "resize" not in codes(same)
        (few,) = examine_options(OPTIONS / "good_train_opt.txt", n_tiles={"train": 9})
        assert (few.code, few.severity) == ("truncated", PROBLEM)

    @pytest.mark.parametrize(
        ("key", "value", "code", "severity"),
        [
            ("preprocess", "scale_width", "resize", PROBLEM),
            ("preprocess", "crop", "jitter", PROBLEM),
            ("preprocess", "scale_width_and_crop", "jitter", PROBLEM),
            ("no_flip", "False", "flip", PROBLEM),
            ("direction", "BtoA", "direction", NOTE),
            ("output_nc", "1", "colour", NOTE),
        ],
    )
    def test_one_option_at_a_time(self, tmp_path, key, value, code, severity):
        lines = (OPTIONS / "good_train_opt.txt").read_text().splitlines()
        changed = [
            f"{key:>25}: {value:<30}\t[default: x: y]"
            if line.strip().startswith(f"{key}:")
            else line
            for line in lines
            if "max_dataset_size" not in line
        ]
        path = tmp_path / "train_opt.txt"
        path.write_text("\n".join(changed))
        (finding,) = examine_options(path)
        assert (finding.code, finding.severity) == (code, severity)

    def test_grey_networks_and_colour_codecs(self, tmp_path):
        path = tmp_path / "test_opt.txt"
        text = (OPTIONS / "good_test_opt.txt").read_text()
        path.write_text(text.replace("input_nc: 3", "input_nc: 1"))
        assert examine_options(path, codec=GRAY8) == []
        assert codes(examine_options(path, codec=Hue(db_min=-100.0, db_max=0.0))) == {"colour"}

    def test_older_programs_and_pix2pixhd(self, tmp_path):
        path = tmp_path / "opt.txt"
        path.write_text(
            "------------ Options -------------\nfineSize: 512\nisTrain: True\nloadSize: 1024\n"
            "no_flip: False\nphase: train\nresize_or_crop: resize_and_crop\n"
            "-------------- End ----------------\n"
        )
        assert codes(examine_options(path)) == {"flip", "jitter"}

    def test_folder_of_checkpoints(self, tmp_path):
        folder = tmp_path / "checkpoints/tel"
        folder.mkdir(parents=True)
        shutil.copy(OPTIONS / "default_train_opt.txt", folder / "train_opt.txt")
        shutil.copy(OPTIONS / "default_test_opt.txt", folder / "test_opt.txt")
        (folder / "loss_log.txt").write_text("epoch: 1")
        assert codes(examine(folder)) == {"flip", "jitter", "resize", "cap"}
