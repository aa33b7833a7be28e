"""Kinds that are defined at run time: CustomResourceDefinitions, and the rules of the objects that they define.

``kinds`` follows the definitions in the log and keeps the scheme; ``definition`` is one of them, compiled when first used;
``schema`` and the modules around it (``pruning``, ``defaults``, ``checks``, ``rules`` …) are closures over plain trees;
``rows`` and ``conversion`` stand between what is stored and what is served; ``lifecycle`` accepts names and cleans up.
"""
